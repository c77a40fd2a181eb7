"""Faces are read where they are: squares cut out exactly, images and videos, runners that agree."""

import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.instruments import runners
from pipeline.instruments.mesh_reader import MeshFaces, MeshReader, open_mesh_files
from pipeline.instruments.sixty_eight import to_68
from pipeline.instruments.squares import Square, cut, place
from pipeline.metrics.akd import KeypointDistance
from pipeline.puppets.render import Camera
from pipeline.video.info import read_packets
from pipeline.video.readers import read_av
from tests.discs import SHAPE, disc_reader, picture
from tests.helpers import shared
from tests.puppet_studio import codes, landmarks_px, person, studio
from tests.tflite_files import released

CPU = torch.device("cpu")


def ramp(size_hw: tuple[int, int]) -> np.ndarray:
    """A picture whose red is its x and whose green is its y, in px."""
    y, x = np.mgrid[: size_hw[0], : size_hw[1]]
    return np.stack([x, y, 0 * x], -1).astype(np.uint8)


@pytest.mark.parametrize("side", [20.0, 47.3, 100.0])  # enlarged, shrunk by less than 2, averaged over blocks
def test_what_is_cut_out_lies_where_the_square_says(side):
    square = Square(np.array([103.7, 76.2]), side, 0.4)
    image = cut(ramp((151, 203)), square, 32, black=False)
    assert image.shape == (32, 32, 3)
    y, x = np.mgrid[:32, :32] + 0.5
    there = place(np.stack([x.ravel(), y.ravel()], -1), square.to_image(32)).reshape(32, 32, 2)
    assert np.abs(image[..., :2] + 0.5 - there).max() < 0.02
    assert np.allclose(there.mean((0, 1)), square.centre_px)
    assert np.allclose(np.linalg.norm(there[0, -1] - there[0, 0]), side * 31 / 32)


def test_a_square_that_moves_by_little_changes_its_picture_by_little():
    image = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    for side in (90.0, 250.0):
        one, other = (
            cut(image, Square(np.array([170.0 + step, 140.0]), side, 0.1), 64, black=False) for step in (0, 1e-4)
        )
        assert np.abs(one - other).max() < 0.1


@pytest.mark.parametrize("black", [True, False])
def test_outside_the_image_is_black_or_its_edge(black):
    white = np.full((40, 40, 3), 255, np.uint8)
    image = cut(white, Square(np.array([0.0, 20.0]), 160, 0.0), 32, black=black)
    assert image[16, 20, 0] == 255
    assert image[16, 2, 0] == (0 if black else 255)


@pytest.mark.parametrize(
    ("size_hw", "centre", "radius"),
    [
        ((256, 256), (120, 140), 60),
        ((360, 640), (500.5, 90.25), 40),
        ((64, 64), (33, 30), 20),
        ((900, 300), (150, 700), 120),
    ],
)
def test_a_face_is_found_where_it_is_in_images_of_any_size(size_hw, centre, radius):
    faces = disc_reader().read([picture(size_hw, centre, radius)])
    assert faces.found.all()
    expected = SHAPE[:, :2] * radius + centre
    assert np.abs(faces.points_px[0, :, :2] - expected).max() < 0.03 * radius
    assert np.abs(faces.points_px[0, :, 2] - SHAPE[:, 2] * radius).max() < 0.03 * radius


def test_images_without_a_face_are_rows_and_the_others_do_not_mind():
    reader = disc_reader()
    images = [picture((96, 128), where, 20) for where in ((50, 40), None, (80, 60))]
    faces = reader.read(images)
    assert faces.found.tolist() == [True, False, True]
    assert np.isnan(faces.points_px[1]).all()
    assert np.isnan(faces.presence[1])
    alone = reader.read(images[2:])
    assert np.array_equal(alone.points_px[0], faces.points_px[2])
    assert reader.read([]).points_px.shape == (0, 468, 3)
    assert not reader.read(images[1:2]).found.any()


def test_a_video_is_read_once_a_frame_until_the_face_is_lost():
    reader = disc_reader()
    path = [(60 + 3 * t, 50) for t in range(6)] + [None, None] + [(30, 90), (31, 90)]
    frames = [picture((140, 180), where, 25) for where in path]
    faces = list(reader.follow(frames))
    assert [bool(face.found[0]) for face in faces] == [where is not None for where in path]
    for face, where in zip(faces, path, strict=True):
        if where:
            assert np.abs(face.points_px[0, :4, :2] - (SHAPE[:4, :2] * 25 + where)).max() < 1
    assert reader.mesh.calls == (2 + 5) + 1 + 0 + (2 + 1)


def test_a_reading_is_known_by_who_ran_the_networks():
    one, other = disc_reader(), disc_reader()
    assert one.fingerprint == other.fingerprint
    other.mesh.name = "another"
    files = (Path(__file__), Path(__file__))
    renamed = MeshReader(other.detector, other.mesh, files, CPU)
    assert renamed.fingerprint != MeshReader(one.detector, one.mesh, files, CPU).fingerprint


def readers(*names: str):
    files = released("blazeface.tflite"), released("face_mesh.tflite")
    if "litert" in names and not runners.litert_is_there():
        pytest.skip("LiteRT is not installed")
    return [open_mesh_files(*files, CPU, name) for name in names]


def puppet(yaw_deg: float = 0.0, shift: tuple[float, float] = (0.0, 0.0), size: int = 256):
    who = person(5)
    frame_map = np.array([1.3, 0, shift[0] * 2 / size, 0, 1.3, 0.1 + shift[1] * 2 / size], np.float32)
    head = codes(who, yaw_deg)
    image = Camera(studio()).film(studio().dress(who), *head.values(), (size, size), frame_map)[0].image
    return image, landmarks_px(head, frame_map, (size, size))


def test_the_released_networks_read_a_rendered_face_alike_whoever_runs_them():
    both = readers("litert", "torch")
    images = [puppet(yaw)[0] for yaw in (-25, 0, 20)]
    found = [reader.read(images) for reader in both]
    assert found[0].found.all()
    assert np.abs(found[0].points_px - found[1].points_px).max() < 1e-3
    assert np.allclose(found[0].presence, found[1].presence, atol=1e-5)


def test_akd_of_a_shifted_face_is_the_shift():
    (reader,) = readers("torch")
    image, _ = puppet()
    still = to_68(reader.read([image]).points_px)
    for shift in (1, 4, 16):
        moved = to_68(reader.read([np.roll(image, (shift, shift), (0, 1))]).points_px)
        akd = KeypointDistance(None).compare(moved.reshape(1, -1), still.reshape(1, -1))
        assert akd[0] == pytest.approx(shift, rel=0.03, abs=0.06)


def test_landmarks_of_a_rendered_face_are_its_own():
    (reader,) = readers("torch")
    for yaw in (-20, 0, 20):
        image, truth = puppet(yaw)
        found = to_68(reader.read([image]).points_px)[0]
        eyes = np.linalg.norm(truth[36] - truth[45])
        assert np.linalg.norm(found - truth, axis=-1)[17:].mean() < 0.05 * eyes


def test_a_real_video_has_its_face_in_every_frame():
    (reader,) = readers("")
    path = shared("realvox/videos/rvA0greensc.mp4")
    faces = list(reader.follow(read_av(path, read_packets(path), range(0, 40))))
    assert all(face.found[0] for face in faces)


def test_threads_have_interpreters_of_their_own():
    (reader,) = readers("litert")
    images = [puppet(yaw)[0] for yaw in (-20, 0, 15, 30)]
    alone = [reader.read([image]).points_px for image in images]
    found: dict[int, MeshFaces] = {}

    def look(row: int) -> None:
        for _ in range(5):
            found[row] = reader.read([images[row]])

    threads = [threading.Thread(target=look, args=(row,)) for row in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for row, points in enumerate(alone):
        assert np.array_equal(found[row].points_px, points)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_reads_what_a_processor_reads():
    files = released("blazeface.tflite"), released("face_mesh.tflite")
    images = [puppet(yaw)[0] for yaw in (-25, 0, 20)]
    found = [open_mesh_files(*files, device, "").read(images) for device in (CPU, torch.device("cuda"))]
    assert np.abs(found[0].points_px - found[1].points_px).max() < 1e-2
