"""The benchmark of open instruments: what it does to frames, and what it makes of readings."""

import numpy as np
import pytest

from benchmarks.instruments import Column, Instrument, measure, page, separation
from benchmarks.real_faces import (
    STEPS,
    Faces,
    alike_in_pose,
    another_frame,
    changes,
    expression_gaps,
    mixed,
    of_one_person,
    pose_gaps,
    shifted,
    shrunk,
    small_changes,
)


@pytest.fixture(scope="module")
def faces() -> Faces:
    """Five frames of each of three people: smooth noise, and landmarks that turn and open the mouth."""
    rng = np.random.default_rng(0)
    base = rng.uniform(20, 44, (68, 2))
    marks = np.stack([base + person for person in range(3) for _ in range(5)])
    marks[:, 30, 0] += np.tile(np.arange(5), 3)  # the nose: pose
    marks[:, 57, 1] += np.tile([0, 3, 1, 2, 4], 3)  # the chin side of the mouth
    frames = rng.integers(60, 200, (15, 64, 64, 3), dtype=np.uint8)
    return Faces(frames, marks.astype(np.float32), np.repeat(["a", "b", "c"], 5))


def test_a_shift_moves_picture_and_landmarks(faces):
    moved = shifted(faces, 3)
    np.testing.assert_array_equal(moved.frames_u8[:, 3:, 3:], faces.frames_u8[:, :-3, :-3])
    np.testing.assert_allclose(moved.landmarks_px - faces.landmarks_px, 3, atol=1e-5)


def test_another_frame_is_of_the_same_person_and_farther_at_every_step(faces):
    gaps, rows, own = pose_gaps(faces), np.array([0, 5, 12]), of_one_person(faces)
    found = [another_frame(faces, rows, gaps, step, own) for step in STEPS]
    np.testing.assert_array_equal(found[0].frames_u8, faces.frames_u8[rows])
    assert all((one.person == faces.person[rows]).all() for one in found)
    noses = np.array([np.abs(one.landmarks_px - faces.landmarks_px[rows])[:, 30, 0] for one in found])
    assert (np.diff(noses, axis=0) >= 0).all()
    assert (noses[-1] >= 2).all()


def test_mouths_differ_where_they_do_and_heads_alike_in_pose_are_the_nearer_half(faces):
    gaps = expression_gaps(faces)
    assert gaps[0, 4] > gaps[0, 2] > 0
    np.testing.assert_allclose(np.diag(gaps), 0, atol=1e-12)
    alike = alike_in_pose(pose_gaps(faces), faces)
    assert alike[0].tolist() == [True, True, True] + [False] * 12


def test_the_next_person_fades_in(faces):
    np.testing.assert_array_equal(mixed(faces, 1.0).frames_u8, np.roll(faces.frames_u8, -5, 0))
    half = mixed(faces, 0.5)
    np.testing.assert_allclose(
        half.landmarks_px, (faces.landmarks_px + np.roll(faces.landmarks_px, -5, 0)) / 2, atol=1e-4
    )


def test_separation_counts_ordered_pairs_of_pairs():
    rng = np.random.default_rng(1)
    person = np.repeat(np.arange(4), 5)
    embedding = rng.normal(size=(20, 3)) + 1.5 * rng.normal(size=(4, 3))[person]
    unit = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    pairs = [(i, j) for i in range(20) for j in range(i + 1, 20)]
    own = [unit[i] @ unit[j] for i, j in pairs if person[i] == person[j]]
    others = [unit[i] @ unit[j] for i, j in pairs if person[i] != person[j]]
    expected = np.mean([[a > b for b in others] for a in own])
    assert 0.6 < expected < 1
    assert separation(embedding, person)["auc"] == pytest.approx(expected, abs=1e-4)


def test_an_instrument_is_measured_against_its_unchanged_frames(faces):
    """One that reads the mean picture: it notices fading and noise, and no change of the floor has its value at 0."""

    def read(some: Faces) -> dict[str, np.ndarray]:
        return {"embedding": some.frames_u8.reshape(len(some.frames_u8), -1).astype(np.float64)}

    def distance(seen, known, changed, unchanged) -> float:
        assert len(changed.person) == len(unchanged.person) == len(seen["embedding"])
        return float(np.abs(seen["embedding"] - known["embedding"]).mean())

    instrument = Instrument(read, (Column("mean[pixels]", distance, ("identity mixing",)),), identity=True)
    rows = np.array([0, 2, 4, 5, 7, 9, 10, 12, 14])
    found = measure(instrument, faces, rows)
    by_change = {row["change"]: row for row in found["validity"]}
    assert set(by_change) == set(changes(faces, rows))
    assert by_change["identity mixing"]["expected"]
    assert by_change["identity mixing"]["monotone"]
    assert by_change["noise"]["monotone"]
    assert not by_change["noise"]["expected"]
    assert all(row["values"][0] == 0 for row in found["validity"])
    assert set(found["floor"]) == set(small_changes(faces))
    assert all(value > 0 for values in found["floor"].values() for value in values.values())
    assert found["identity"]["auc"] <= 1
    machine = {"cpu": "none", "threads": 1, "cores": 1, "gpu": None, "load_before": 0}
    result = {
        "command": "x", "machine": machine, "versions": {"torch": "0"}, "commit": "0", "frames": 15, "people": 3,
        "instruments": {"pixels": {"sizes": {"64": found}}},
    }  # fmt: skip
    assert found["changed_frames"] == 9
    text = page(result)
    assert "| 64 | identity mixing (another person's frame, faded in) | `mean[pixels]` | 0 |" in text
    assert "AUC" in text


def test_small_frames_are_the_large_ones_shrunk(faces):
    large = Faces(np.repeat(np.repeat(faces.frames_u8, 4, 1), 4, 2), faces.landmarks_px * 4, faces.person)
    small = shrunk(large)
    np.testing.assert_array_equal(small.frames_u8, faces.frames_u8)
    np.testing.assert_allclose(small.landmarks_px, faces.landmarks_px, rtol=1e-6)
