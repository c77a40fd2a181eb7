"""The two shipped puppet heads: equal to a rebuild, closed, moving as their names say, consistent with each other."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from model.heads.arrays import HeadArrays, load_arrays
from model.heads.fit import HeadFit
from model.heads.head import HeadModel
from pipeline.puppets.build_heads import ASSETS, build_puppet
from pipeline.puppets.face_codes import true_face_codes
from pipeline.puppets.face_head import build_face, random_actions
from pipeline.puppets.face_region import face_region
from pipeline.puppets.fields import vertex_masks, vertex_parts
from pipeline.puppets.head_geometry.rig import IBUG_MIRROR

EYES = {"left": slice(42, 48), "right": slice(36, 42)}  # the person's own; the left eye is at +x


@pytest.fixture(scope="module")
def puppet() -> HeadModel:
    return HeadModel(load_arrays(ASSETS / "puppet.npz"))


@pytest.fixture(scope="module")
def face() -> HeadModel:
    return HeadModel(load_arrays(ASSETS / "puppet_face.npz"))


def posed(head: HeadModel, shape=None, jaw=None, eye_left=None, root=None, **actions: float) -> np.ndarray:
    """Vertices (V, 3) under one shape row, joint rotations and named expressions."""
    beta = torch.zeros(1, head.num_shape) if shape is None else torch.as_tensor(shape, dtype=torch.float32)[None]
    psi, theta = torch.zeros(1, head.num_expression), torch.zeros(1, head.num_pose)
    for name, value in actions.items():
        psi[0, head.arrays.expression_names.tolist().index(name)] = value
    for name, angles in (("jaw", jaw), ("eye_left", eye_left), ("root", root)):
        if angles is not None:
            start = 3 * head.arrays.joint_names.tolist().index(name)
            theta[0, start : start + 3] = torch.tensor(angles)
    return head.vertices(beta, psi, theta)[0].numpy()


def marks(head: HeadModel, verts: np.ndarray) -> np.ndarray:
    return head.landmarks_of(torch.from_numpy(verts)[None])[0].numpy()


def aperture(points: np.ndarray, side: str) -> float:
    eye = points[EYES[side]]
    return float((np.linalg.norm(eye[1] - eye[5]) + np.linalg.norm(eye[2] - eye[4])) / 2)


def landmark_weights(arrays: HeadArrays) -> np.ndarray:
    """How much of every vertex is in every landmark, (68, V): which triangle names a point on an edge is a tie."""
    weights = np.zeros((68, len(arrays.template)))
    corners = np.asarray(arrays.triangles)[arrays.landmark_triangles]
    np.add.at(weights, (np.arange(68)[:, None], corners), arrays.landmark_barycentric)
    return weights


def assert_same(shipped: HeadArrays, built: HeadArrays) -> None:
    np.testing.assert_allclose(landmark_weights(shipped), landmark_weights(built), atol=1e-3)
    for field in fields(HeadArrays):
        if field.name in ("landmark_triangles", "landmark_barycentric"):
            continue
        one, other = np.asarray(getattr(shipped, field.name)), np.asarray(getattr(built, field.name))
        assert one.shape == other.shape, field.name
        if one.dtype.kind == "f":
            np.testing.assert_allclose(one.astype(float), other.astype(float), atol=1e-3, err_msg=field.name)
        else:
            assert (one == other).all(), field.name


def test_shipped_heads_equal_a_rebuild(puppet, face):
    built = build_puppet()
    assert_same(puppet.arrays, built)
    assert_same(face.arrays, build_face(built))


def test_size_and_counts(puppet, face):
    assert sum((ASSETS / f"{name}.npz").stat().st_size for name in ("puppet", "puppet_face")) < 2.5e6
    assert 4500 < puppet.num_vertices < 6500
    assert 9000 < len(puppet.triangles) < 13000
    assert puppet.num_shape >= 30
    assert puppet.num_expression >= 20
    assert puppet.arrays.joint_names.tolist() == ["root", "neck", "jaw", "eye_left", "eye_right"]
    assert face.num_shape != puppet.num_shape
    assert face.perspective
    assert face.num_joints == 1


def boundary_loops(triangles: np.ndarray) -> int:
    """Number of open loops of an oriented mesh; fails where an edge is used twice in one direction."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    assert len(np.unique(edges, axis=0)) == len(edges)
    directed = set(map(tuple, edges.tolist()))
    following = {b: a for a, b in directed if (b, a) not in directed}
    loops = 0
    while following:
        loops += 1
        _, vertex = following.popitem()
        while vertex in following:
            vertex = following.pop(vertex)
    return loops


def test_surfaces_are_closed_and_face_outwards(puppet):
    arrays = puppet.arrays
    part = arrays.part_names[arrays.triangle_part]
    groups = {
        ("skin", "lips", "eyelid", "neck", "scalp", "mouth_cavity"): 3,  # open: the neck's base and two eyes
        ("eyeball_left",): 0, ("eyeball_right",): 0, ("ear",): 0, ("teeth", "gums"): 0, ("tongue",): 0,
    }  # fmt: skip
    for names, loops in groups.items():
        triangles = arrays.triangles[np.isin(part, names)]
        assert boundary_loops(triangles) == loops, names
        corners = arrays.template[triangles].astype(float)
        assert np.einsum("ij,ij->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) > 0, names


def test_head_has_human_size(puppet):
    head = puppet.arrays.template[np.isin(vertex_parts(puppet.arrays), ("skin", "scalp", "lips", "eyelid"))]
    extent = np.ptp(head, axis=0)
    assert 14 < extent[0] < 17
    assert 21 < extent[1] < 25
    assert 20 < extent[2] < 24


def test_landmarks_stand_in_ibug_order(puppet):
    points = marks(puppet, puppet.arrays.template)
    x, y, z = points.T
    np.testing.assert_allclose(points[IBUG_MIRROR] * (-1, 1, 1), points, atol=1e-4)
    assert x[0] < x[36] < x[39] < x[27] < x[42] < x[45] < x[16]  # the person's right is the viewer's left
    assert (np.diff(x[:17]) > 0).all()
    assert (np.diff(x[17:27]) > 0).all()
    assert y.argmin() == 8
    assert z.argmax() == 30
    assert (y[17:27] > y[36:48].max()).all()
    assert (np.diff(y[27:34]) < 0.4).all()
    assert y[27] > y[30] > y[33] > y[51] > y[62] >= y[66] > y[57] > y[8]
    assert x[48] < x[60] < x[61] < x[63] < x[64] < x[54]


def test_jaw_opens_the_mouth_and_moves_nothing_above(puppet):
    rest, opened = posed(puppet), posed(puppet, jaw=(0.3, 0.0, 0.0))
    before, after = marks(puppet, rest), marks(puppet, opened)
    assert after[8, 1] < before[8, 1] - 2.0
    assert after[62, 1] - after[66, 1] > 2.0
    assert before[62, 1] - before[66, 1] < 0.1
    np.testing.assert_allclose(after[17:48], before[17:48], atol=0.12)
    moved = np.linalg.norm(opened - rest, axis=1)
    part = vertex_parts(puppet.arrays)
    teeth = np.isin(part, ("teeth", "gums"))
    upper = teeth & (rest[:, 1] > -7.02)
    assert moved[upper].max() < 1e-4
    assert moved[teeth & ~upper].min() > 1.0


def test_an_eye_turns_alone_and_in_place(puppet):
    rest, turned = posed(puppet), posed(puppet, eye_left=(0.0, 0.3, 0.0))
    moved = np.linalg.norm(turned - rest, axis=1) > 1e-4
    part = vertex_parts(puppet.arrays)
    assert set(part[moved]) == {"eyeball_left"}
    ball = part == "eyeball_left"
    assert rest[ball, 0].mean() > 2.5
    for verts in (turned, rest):
        np.testing.assert_allclose((verts[ball].min(0) + verts[ball].max(0)) / 2, (3.12, 0.02, 6.98), atol=0.05)
    pupil = np.flatnonzero(ball)[rest[ball, 2].argmax()]
    assert turned[pupil, 0] > rest[pupil, 0] + 0.3  # yaw > 0 looks to the viewer's right


def test_root_turns_the_whole_head(puppet):
    turned = posed(puppet, root=(0.0, 0.5, 0.0))
    joint = puppet.joint_regressor[0].numpy() @ puppet.arrays.template
    cosine, sine = np.cos(0.5), np.sin(0.5)
    rotation = np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])
    np.testing.assert_allclose(turned, (puppet.arrays.template - joint) @ rotation.T + joint, atol=1e-4)
    assert -10 < joint[1] < -6  # near the top of the neck


def test_joints_follow_the_shape(puppet):
    rng = np.random.default_rng(3)
    shape = rng.standard_normal(puppet.num_shape).astype(np.float32)
    verts = posed(puppet, shape=shape)
    ball = vertex_parts(puppet.arrays) == "eyeball_left"
    joint = puppet.joint_regressor[3].numpy() @ verts
    radius = np.linalg.norm(verts[ball] - joint, axis=1)
    assert np.ptp(radius) < 0.02  # still a sphere about its joint, so gaze keeps it in place


@pytest.mark.parametrize("side", ["left", "right"])
def test_blink_closes_one_eye(puppet, side):
    other = "right" if side == "left" else "left"
    rest, shut = marks(puppet, posed(puppet)), marks(puppet, posed(puppet, **{f"blink_{side}": 1.0}))
    assert aperture(rest, side) > 0.7
    assert aperture(shut, side) < 0.12
    np.testing.assert_allclose(aperture(shut, other), aperture(rest, other), atol=1e-3)


def test_lids_close_on_other_people_too(puppet):
    rng = np.random.default_rng(8)
    for shape in rng.standard_normal((12, puppet.num_shape)).astype(np.float32):
        points = marks(puppet, posed(puppet, shape=shape, blink_left=1.0))
        open_eye = aperture(points, "right")
        assert aperture(points, "left") < 0.25 * open_eye


@pytest.mark.parametrize("amount", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_lids_never_cut_into_the_eyeball(puppet, amount):
    template, part = puppet.arrays.template, vertex_parts(puppet.arrays)
    ball = part == "eyeball_left"
    from_eye = np.linalg.norm(template - (3.12, 0.02, 6.98), axis=1)
    lids = np.isin(part, ("eyelid", "skin")) & (from_eye < 1.75) & (from_eye > 1.43)  # the rims' inner edges lie deeper
    assert lids.sum() > 60
    for shape in (None, np.random.default_rng(4).standard_normal(puppet.num_shape)):
        verts = posed(puppet, shape=shape, blink_left=amount)
        joint = puppet.joint_regressor[3].numpy() @ verts
        radius = np.linalg.norm(verts[ball] - joint, axis=1).max()
        assert np.linalg.norm(verts[lids] - joint, axis=1).min() > radius


def test_expressions_do_what_they_say(puppet):
    rest = marks(puppet, posed(puppet))

    def change(**actions: float) -> np.ndarray:
        return marks(puppet, posed(puppet, **actions)) - rest

    smile = change(smile_left=1.0)
    assert smile[54, 0] > 0.2
    assert smile[54, 1] > 0.3
    assert np.abs(smile[48]).max() < 0.1
    assert change(frown_right=1.0)[48, 1] < -0.3
    assert change(brow_inner_up_left=1.0)[22, 1] > 0.3
    assert change(brow_down_right=1.0)[21, 1] < -0.2
    assert np.ptp(change(pucker=1.0)[[48, 54], 0]) > 0.8
    assert change(pucker=1.0)[48, 0] > 0.3
    wide = change(mouth_wide=1.0)
    assert wide[54, 0] > 0.3
    assert wide[48, 0] < -0.3
    assert change(lower_lip_down=1.0)[66, 1] < -0.3
    assert change(upper_lip_up=1.0)[62, 1] > 0.25
    assert change(jaw_side=1.0)[8, 0] > 0.5
    assert change(cheek_puff=1.0)[4, 0] < 0
    assert (puppet.arrays.expression_low <= 0).all()
    assert (puppet.arrays.expression_high == 1).all()


def test_shape_directions_differ_and_matter(puppet):
    basis = puppet.arrays.shape_basis.astype(float).reshape(puppet.num_shape, -1, 3)
    largest = np.linalg.norm(basis, axis=2).max(1)
    assert (largest > 0.05).all()
    assert (largest < 0.7).all()
    unit = basis.reshape(len(basis), -1)
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    assert np.linalg.svd(unit, compute_uv=False)[-1] > 0.1


def test_masks_mark_the_right_places(puppet):
    masks = vertex_masks(puppet.arrays)
    template, part = puppet.arrays.template, vertex_parts(puppet.arrays)
    for name, mask in masks.items():
        assert mask.dtype == np.float32, name
        assert 0 <= mask.min() <= mask.max() <= 1, name
        assert mask.max() > 0.5, name
    np.testing.assert_allclose(template[masks["lips"] > 0.5].mean(0)[:2], (0, -6.85), atol=0.35)
    iris = template[masks["iris"] > 0.5]
    np.testing.assert_allclose(np.abs(iris[:, 0]).mean(), 3.12, atol=0.05)
    assert set(part[masks["iris"] > 0]) == {"eyeball_left", "eyeball_right"}
    brows = template[masks["brows"] > 0.5]
    assert (brows[:, 1] > 1.0).all()
    assert (brows[:, 1] < 3.2).all()
    assert template[masks["scalp"] > 0.5][:, 1].min() < 0  # the nape
    front = (template[:, 2] > 8) & (template[:, 1] < 5)
    assert masks["scalp"][front].max() == 0


def random_fits(puppet: HeadModel, count: int) -> HeadFit:
    rng = np.random.default_rng(11)
    expression, pose = random_actions(puppet.arrays, count, seed=12)
    pose[:, :3] = rng.normal(0, 1, (count, 3)) * (0.2, 0.5, 0.15)
    shape = rng.standard_normal((4, puppet.num_shape)).repeat(count // 4, 0)
    camera = np.stack([rng.uniform(0.055, 0.085, count), rng.normal(0, 1, count), rng.normal(3, 1, count)], 1)
    arrays = (shape, expression, pose, camera, np.tile([1.0, 0, 0, 0, 1, 0], (count, 1)))
    return HeadFit(*(torch.from_numpy(np.asarray(a, np.float32)) for a in arrays))


def project_codes(puppet: HeadModel, face: HeadModel, fit: HeadFit) -> HeadFit:
    codes = true_face_codes(
        puppet.arrays, face.arrays, *(getattr(fit, name).numpy() for name in ("shape", "expression", "pose", "camera"))
    )
    return HeadFit(*(torch.from_numpy(c) for c in codes), fit.tracker_map)


def test_true_face_codes_reproject_the_face(puppet, face):
    fit = random_fits(puppet, 64)
    own = project_codes(puppet, face, fit)
    region = face_region(puppet.arrays)
    error = (puppet.place(fit)[:, region.vertices] - face.place(own))[..., :2].norm(dim=-1)
    assert error.mean() < 0.012  # ndc; perspective against orthography makes most of it
    assert error.quantile(0.95) < 0.035
    np.testing.assert_allclose(puppet.yaw_pitch_roll_rad(fit.pose), face.yaw_pitch_roll_rad(own.pose), atol=1e-4)
    assert (own.shape[:16] == own.shape[0]).all()  # one person, one identity
    alone = true_face_codes(
        puppet.arrays,
        face.arrays,
        fit.shape[0].numpy(),
        *(getattr(fit, name)[:16].numpy() for name in ("expression", "pose", "camera")),
    )
    np.testing.assert_allclose(alone.expression, own.expression[:16], atol=1e-4)
    assert 0.5 < own.shape.std() < 1.6
    assert 0.5 < own.expression.std() < 1.6


def test_face_shape_is_near_exact_without_the_camera(puppet, face):
    """The codes rebuild the face itself: compare unturned faces after removing place and size."""
    fit = random_fits(puppet, 32)
    still = fit.replace(pose=fit.pose * torch.cat([torch.zeros(3), torch.ones(12)]))
    own = project_codes(puppet, face, still)
    region = face_region(puppet.arrays)
    true = region.to_face(puppet.vertices(still.shape, still.expression, still.pose)[:, region.vertices].numpy())
    rebuilt = face.vertices(own.shape, own.expression, own.pose).numpy()
    rebuilt, true = (a - a.mean(1, keepdims=True) for a in (rebuilt, true))
    growth = (rebuilt * true).sum((1, 2)) / (rebuilt**2).sum((1, 2))
    residual = np.linalg.norm(true - growth[:, None, None] * rebuilt, axis=2)
    assert residual.mean() < 0.005  # face units: half a millimetre


def test_face_codes_carry_blinks_jaw_and_gaze(puppet, face):
    names = puppet.arrays.expression_names.tolist()
    fit = random_fits(puppet, 4)
    fit = HeadFit(
        torch.zeros_like(fit.shape),
        torch.zeros_like(fit.expression),
        torch.zeros_like(fit.pose),
        torch.tensor([[0.08, 0.0, 2.0]]).repeat(4, 1),
        fit.tracker_map,
    )
    fit.expression[1, names.index("blink_left")] = 1.0
    fit.pose[2, 6] = 0.25
    fit.pose[3, [10, 13]] = 0.3
    points = face.place(project_codes(puppet, face, fit))
    landmarks = face.landmarks_of(points)[..., :2].numpy()
    assert aperture(landmarks[1], "left") < 0.3 * aperture(landmarks[0], "left")
    assert aperture(landmarks[1], "right") > 0.9 * aperture(landmarks[0], "right")
    assert landmarks[2, 66, 1] > landmarks[0, 66, 1] + 0.1  # ndc, y down
    eye = vertex_parts(face.arrays) == "eyeball_left"
    pupil = np.flatnonzero(eye)[face.arrays.template[eye, 2].argmax()]
    assert points[3, pupil, 0] > points[0, pupil, 0] + 0.02


def test_bent_necks_and_foreign_heads_are_refused(puppet, face):
    fit = random_fits(puppet, 4)
    fit.pose[0, 4] = 0.1
    with pytest.raises(ValueError, match="neck"):
        project_codes(puppet, face, fit)
    smaller = replace(face.arrays, template=face.arrays.template[:-1])
    with pytest.raises(ValueError, match="puppet_face"):
        true_face_codes(puppet.arrays, smaller, *(np.zeros((1, n), np.float32) for n in (43, 28, 15, 3)))
