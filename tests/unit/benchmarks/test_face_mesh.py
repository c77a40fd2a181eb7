"""What measures the mesh: changes change by what they say, and numbers follow from readings."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.face_mesh import compared, on_puppets, on_real_frames
from benchmarks.face_mesh_dlib import dlib_points
from benchmarks.face_mesh_frames import REAL, RERENDERED, changed
from benchmarks.mesh_landmarks import Puppets, calibrate, table_text
from pipeline.instruments.sixty_eight import table_weights


def frames(count: int = 4, size: int = 64) -> np.ndarray:
    y, x = np.mgrid[:size, :size]
    waves = [np.sin(x / (3 + n)) + np.cos(y / 5) for n in range(count)]
    return np.stack([np.repeat((127 + 60 * wave).astype(np.uint8)[..., None], 3, 2) for wave in waves])


@pytest.mark.parametrize("size", REAL)
@pytest.mark.parametrize("change", REAL[64])
def test_every_change_grows_step_by_step_and_repeats(size, change):
    images = frames(2, size)
    assert np.array_equal(
        changed(images, change, REAL[size][change][0]), changed(images, change, REAL[size][change][0])
    )
    if change != "shift":  # a shifted wave meets itself again
        gaps = [np.abs(changed(images, change, step) - images.astype(float)).mean() for step in REAL[size][change]]
        assert (np.diff(gaps) > 0).all()


def test_a_shift_moves_to_the_right_and_down():
    image = frames(1)
    assert np.array_equal(changed(image, "shift", 3)[0, 3:, 3:], image[0, :-3, :-3])
    with pytest.raises(ValueError, match="unknown change 'wobble'"):
        changed(image, "wobble", 1)


def brightest(images: np.ndarray) -> dict[str, np.ndarray]:
    """An instrument: every landmark where the light's centre is; black is no face."""
    light = images.astype(float).mean(-1)
    y, x = np.mgrid[: light.shape[1], : light.shape[2]] + 0.5
    total = np.where(light.sum((1, 2)) > 0, light.sum((1, 2)), np.nan)
    centre = np.stack([(light * x).sum((1, 2)), (light * y).sum((1, 2))], -1) / total[:, None]
    return {"landmarks_px": np.tile(centre, 68)}


def test_a_shift_reads_as_its_length_and_what_is_not_read_is_counted():
    spot = np.zeros((4, 64, 64, 3), np.uint8)
    spot[:, 20:24, 30:34] = 200
    result = on_real_frames(brightest, spot, np.array([0, 0, 1, 1]), 64)
    shifts = {row["step"]: row["akd_px"] for row in result["rows"] if row["change"] == "shift"}
    assert shifts == {1: pytest.approx(1), 2: pytest.approx(2), 4: pytest.approx(4)}
    assert result["same_clip"]["akd_px"] == 0
    half = spot.copy()
    half[:2] = 0
    assert compared(brightest(spot), brightest(half))["read"] == 0.5
    assert compared(brightest(spot), brightest(0 * spot))["akd_px"] is None


def test_dlib_sees_enlarged_frames_and_its_points_come_back_in_their_pixels(monkeypatch):
    def detect(frame: np.ndarray) -> list[int]:
        assert frame.shape == (512, 512, 3)
        return [0] if frame.any() else []

    def shape(frame: np.ndarray, _box: int) -> SimpleNamespace:
        row, column = np.argwhere(frame[..., 0] > 0)[0]
        return SimpleNamespace(parts=lambda: [SimpleNamespace(x=column, y=row)] * 68)

    fake = SimpleNamespace(get_frontal_face_detector=lambda: detect, shape_predictor=lambda path: shape)
    monkeypatch.setitem(sys.modules, "dlib", fake)
    images = np.zeros((2, 64, 64, 3), np.uint8)
    images[1, 20, 30] = 255
    found = dlib_points(images, Path("any.dat"))
    assert np.isnan(found[0]).all()
    assert found[1].reshape(68, 2) == pytest.approx(np.tile([30 + 0.5 / 8, 20 + 0.5 / 8], (68, 1)))


def test_puppets_are_measured_at_every_step():
    scenes = {("", 0.0): frames()}
    for change in RERENDERED:
        scenes |= {(change, step): changed(frames(), "blur", 4 * step) for step in (0.25, 0.5, 0.75, 1.0)}
    rows = on_puppets(brightest, scenes)
    assert [(row["change"], row["number"]) for row in rows] == [(change, "akd_px") for change in RERENDERED]
    assert all(len(row["values"]) == 4 for row in rows)


def test_a_known_map_is_found_again_and_survives_its_table():
    rng = np.random.default_rng(0)
    resting = rng.uniform(-1, 1, (468, 2))
    points = resting + 0.2 * rng.normal(size=(400, 468, 2))
    truth = np.zeros((68, 468))
    for row, own in zip(truth, rng.permutation(468)[:68], strict=True):
        near = np.argsort(np.linalg.norm(resting - resting[own], axis=1))[:3]
        row[near] = [0.6, 0.3, 0.1]
    puppets = Puppets(points, np.einsum("lp,npc->nlc", truth, points), np.zeros(400), 1.0)
    found = calibrate(puppets)
    assert np.abs(found - truth).max() < 0.06
    assert np.allclose(table_weights(table_text(found).split('"""')[3]), found)
