"""A puppet is drawn where its codes say, over its background, in its light."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from pipeline.puppets.appearance import PART
from pipeline.puppets.backdrop import lay_backdrop, make_backdrop
from pipeline.puppets.hair import above_hairline, grow_locks, grow_shell
from pipeline.puppets.normals import VertexNormals, vertex_normals
from pipeline.puppets.render import IDENTITY_MAP, Camera
from tests.puppet_studio import centre_of, codes, landmarks_px, person, studio

SIZE = (120, 160)
WIDE = np.array([120 / 160, 0, 0.1, 0, 1, 0], np.float32)  # a square tracker frame in a wide frame, moved right


@pytest.fixture(scope="module")
def actor():
    return studio().dress(person())


def shot(actor, frame_map=WIDE, size=SIZE, backdrop_map=None, supersample=1, **pose):
    c = codes(actor.person, **pose)
    picture = Camera(studio()).film(actor, *c.values(), size, frame_map, backdrop_map, supersample, with_albedo=True)[0]
    return picture, landmarks_px(c, frame_map, size)


@pytest.mark.parametrize("yaw_deg", [0.0, 30.0, -45.0])
def test_parts_lie_on_their_landmarks(actor, yaw_deg):
    picture, marks = shot(actor, yaw_deg=yaw_deg, jaw_deg=12.0)
    assert picture.image.shape == (*SIZE, 3)
    mouth = np.isin(picture.label, (PART["lips"], PART["mouth"]))
    assert np.allclose(centre_of(mouth, 1), 0.5 * (marks[48:60].min(0) + marks[48:60].max(0)), atol=2.5)
    if yaw_deg == 0:
        eyes = centre_of(picture.label, PART["eyes"])
        assert np.allclose(eyes, marks[36:48].mean(0), atol=1.5)


def test_yaw_turns_the_face_to_the_viewers_right(actor):
    nose = [shot(actor, yaw_deg=yaw)[1][30, 0] for yaw in (-30.0, 0.0, 30.0)]
    lips = [centre_of(shot(actor, yaw_deg=yaw)[0].label, PART["lips"])[0] for yaw in (-30.0, 0.0, 30.0)]
    assert nose[0] < nose[1] < nose[2]
    assert lips[0] < lips[1] < lips[2]


def test_hair_is_above_and_clothes_below(actor):
    label = shot(actor)[0].label
    heights = [centre_of(label, PART[name])[1] for name in ("hair", "eyes", "lips", "clothes")]
    assert heights == sorted(heights)


def test_background_is_the_backdrop(actor):
    moved = WIDE + np.array([0, 0, 0.3, 0, 0, 0], np.float32)
    picture, _ = shot(actor, backdrop_map=moved)
    behind = np.round(lay_backdrop(actor.backdrop, moved, SIZE) * 255)
    far = np.zeros(SIZE, bool)
    far[:20, :20] = True
    assert (picture.label[far] == 0).all()
    assert np.abs(picture.image[far] - behind[far]).max() <= 2
    assert not picture.albedo[far].any()


def test_backdrop_follows_its_map(actor):
    backdrop = np.zeros((256, 256, 3), np.float32)
    backdrop[:, 128:] = 1.0  # the right half of the camera's frame
    laid = lay_backdrop(backdrop, np.array([1, 0, 0.5, 0, 1, 0]), (40, 80))
    assert laid[:, 0].max() == 0
    assert laid[:, -1].min() == 1
    assert laid[20, 55].max() < 0.1  # ndc 0.39 lies left of the edge, which the map moved to 0.5
    assert laid[20, 65].min() > 0.9


def test_light_changes_the_image_and_not_the_albedo(actor):
    def lit_from(x: float):
        look = replace(actor.person.look, light_direction=np.array([x, 0.36, 0.48]))
        return shot(replace(actor, person=replace(actor.person, look=look)))[0]

    one, two = lit_from(-0.8), lit_from(0.8)
    assert np.array_equal(one.albedo, two.albedo)
    skin = one.label == PART["skin"]
    right = skin & (np.arange(SIZE[1]) > centre_of(one.label, PART["lips"])[0])
    brighter = (two.image[right].astype(int) - one.image[right]).mean()
    assert brighter > 10


def test_the_same_again(actor):
    again = studio().dress(person())
    assert np.array_equal(shot(actor)[0].image, shot(again)[0].image)


def test_supersampling_keeps_the_place(actor):
    fine, coarse = shot(actor, supersample=2)[0], shot(actor)[0]
    assert np.allclose(centre_of(fine.label, PART["skin"]), centre_of(coarse.label, PART["skin"]), atol=0.7)
    assert np.abs(fine.image.astype(int) - coarse.image).mean() < 12


def test_a_person_wears_another_shape(actor):
    other = person(9)
    c = codes(other)
    picture = Camera(studio()).film(actor, *c.values(), SIZE, WIDE)[0]
    marks = landmarks_px(c, WIDE, SIZE)
    assert np.allclose(centre_of(picture.label, PART["lips"]), marks[48:60].mean(0), atol=2.5)
    assert not np.array_equal(picture.image, shot(actor)[0].image)


def test_nothing_in_view_is_all_background(actor):
    away = IDENTITY_MAP + np.array([0, 0, 9, 0, 0, 0], np.float32)
    assert not shot(actor, away)[0].label.any()


def test_hair_grows_above_the_hairline_and_off_the_skin():
    stage, who = studio(), person(style="long", garment="crew")
    rest = stage.template
    normals = vertex_normals(stage.head.template[None], stage.head.triangles)[0].numpy()
    locks = grow_locks(who.look, rest, normals, stage.template, stage.hairy)
    roots = locks.points.reshape(-1, 7, 2, 3)[:, 0].mean(1)
    azimuth = np.arctan2(roots[:, 0], roots[:, 2] + 0.3)
    assert above_hairline(azimuth, roots[:, 1]).min() > -0.5
    assert locks.points[:, 1].min() < -15  # long hair hangs
    shell = grow_shell(who.look, rest, stage.template, stage.hairy)
    assert shell.thickness.max() > 0.3
    assert above_hairline(np.array([0.0, np.pi]), np.array([6.0, 6.0])).tolist()[0] < 0  # a forehead is bare
    assert grow_shell(replace(who.look, style="bald"), rest, stage.template, stage.hairy) is None


def test_backdrops_repeat_and_differ():
    looks = [replace(person().look, backdrop=kind) for kind in ("gradient", "blocks", "shelves", "clouds", "stripes")]
    images = [make_backdrop(look) for look in looks]
    assert all(np.array_equal(image, make_backdrop(look)) for image, look in zip(images, looks, strict=True))
    assert min(np.abs(a - b).mean() for i, a in enumerate(images) for b in images[:i]) > 0.005


def test_normals_are_area_weighted_and_zero_where_nothing_meets():
    generator = torch.Generator().manual_seed(0)
    verts = torch.randn(2, 9, 3, generator=generator)
    triangles = torch.randint(0, 8, (12, 3), generator=generator)  # vertex 8 is in none
    expected = np.zeros((2, 9, 3))
    for frame, points in enumerate(verts.double().numpy()):
        for a, b, c in triangles.tolist():
            for corner in (a, b, c):
                expected[frame, corner] += np.cross(points[b] - points[a], points[c] - points[a])
    expected /= np.maximum(np.linalg.norm(expected, axis=-1, keepdims=True), 1e-12)
    assert np.allclose(vertex_normals(verts, triangles), expected, atol=1e-5)
    some = torch.tensor([8, 3, 0, 3])
    found = VertexNormals(triangles, some)(verts.transpose(1, 2).contiguous())
    assert np.allclose(found.transpose(1, 2), expected[:, some], atol=1e-5)


def test_a_mesh_may_have_no_normals_to_find():
    nothing = VertexNormals(torch.zeros(0, 3, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))
    assert nothing(torch.zeros(2, 3, 5)).shape == (2, 3, 0)


@pytest.mark.parametrize("middle", [(60.3, 40.2), (1.0, 2.5), (127.5, 79.0), (-30.0, 20.0)])
def test_strokes_and_dots_drawn_in_a_window_are_those_of_the_whole_canvas(middle):
    canvas = studio().canvas
    line = np.array(middle) + np.array([(-4.0, 1.0), (0.5, -3.0), (5.0, 2.0)])
    whole = np.zeros((canvas.height, canvas.width), np.uint8)
    thickness = max(1, round(0.5 * canvas.px_per_cm))
    cv2.polylines(whole, [np.round(line * 16).astype(np.int32)], False, 255, thickness, cv2.LINE_AA, 4)
    whole = cv2.GaussianBlur(whole.astype(np.float32) / 255, (0, 0), 0.6 * canvas.px_per_cm)
    assert np.allclose(canvas.stroke(line, 0.5, 0.6), whole, atol=1e-6)
    disc, mask = (np.zeros((canvas.height, canvas.width), np.float32) for _ in range(2))
    cv2.circle(disc, tuple(int(v * 16) for v in middle), int(1.2 * canvas.px_per_cm * 16), 1.0, -1, cv2.LINE_AA, 4)
    canvas.dot(mask, np.array(middle), 1.2, 0.7)
    assert np.allclose(mask, 0.7 * disc, atol=1e-6)
