"""FAN and S3FD in batches against face-alignment's own loop, on untrained weights in the official layout."""

import numpy as np
import pytest
import torch
from face_alignment.detection.sfd.bbox import nms
from face_alignment.detection.sfd.detect import get_predictions
from face_alignment.utils import get_preds_fromhm

from benchmarks.package_loop import PackageLoop, write_random_weights
from pipeline.trackers import fan as fan_module
from pipeline.trackers.fan import FanLandmarks, crop_of, in_image, peaks
from pipeline.trackers.s3fd import FOUND, surest_box

CPU = torch.device("cpu")
SIZES = ((20, 24), (10, 12), (5, 6), (3, 3), (2, 2), (1, 1))  # of S3FD's six scales


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_random_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def frames_u8() -> np.ndarray:
    """Smooth noise, wider than high."""
    coarse = torch.from_numpy(np.random.default_rng(0).random((5, 3, 10, 12)))
    smooth = torch.nn.functional.interpolate(coarse, size=(80, 96), mode="bicubic").clamp(0, 1)
    return (smooth.permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8)


@pytest.fixture(scope="module")
def finder(weights) -> FanLandmarks:
    return FanLandmarks(*weights, CPU)


def test_a_batch_is_the_packages_loop(weights, finder, frames_u8):
    package, faces = PackageLoop(*weights), finder.look(frames_u8)
    assert faces.found.all()
    for frame, points_px, score in zip(frames_u8, faces.landmarks_px, faces.score, strict=True):
        first, *others = package.boxes(frame)
        assert others, "the oracle must have a choice"
        np.testing.assert_array_equal(points_px, package.points(frame, first) + 0.5)
        assert score == pytest.approx(first[4], abs=1e-6)


def test_frames_without_a_face_are_told_and_cost_no_landmarks(finder, frames_u8, monkeypatch):
    boxes, passes = finder.boxes.surest(frames_u8), []
    boxes[[1, 3]] = np.nan
    net = finder.net
    monkeypatch.setattr(finder.boxes, "surest", lambda frames: boxes[: len(frames)])
    monkeypatch.setattr(finder, "net", lambda planes: passes.append(len(planes)) or net(planes))
    faces = finder.look(frames_u8[:4])
    assert faces.found.tolist() == [True, False, True, False]
    assert passes == [2]
    assert np.isnan(faces.landmarks_px[[1, 3]]).all()
    assert (faces.landmarks_px[[0, 2]] % 1 == 0.5).all()
    assert finder.look(frames_u8[:0]).found.shape == (0,)


def test_many_frames_share_a_pass_and_large_ones_are_fewer(finder, monkeypatch):
    seen = []

    def no_faces(frames_u8: np.ndarray) -> np.ndarray:
        seen.append(len(frames_u8))
        return np.full((len(frames_u8), 5), np.nan)

    monkeypatch.setattr(finder.boxes, "surest", no_faces)
    monkeypatch.setattr(fan_module, "_FACES_A_PASS", {"cpu": 8})
    finder.look(np.zeros((10, 256, 256, 3), np.uint8))
    finder.look(np.zeros((3, 1024, 512, 3), np.uint8))
    assert seen == [8, 2, 1, 1, 1]


@pytest.mark.parametrize("seed", range(20))
def test_the_surest_candidate_is_the_packages_first_face(seed):
    """Random outputs of the six scales, with ties at a saturated score in some."""
    rng = np.random.default_rng(seed)
    scores = [rng.random(size, np.float32) * rng.choice([0.04, 0.3, 1.0], p=[0.2, 0.3, 0.5]) for size in SIZES]
    scores = [np.where(values > 0.9, np.float32(1), values) if seed % 2 else values for values in scores]
    offsets = [rng.normal(size=(4, *size)).astype(np.float32) for size in SIZES]
    outputs = [maps for s, o in zip(scores, offsets, strict=True) for maps in (np.stack([1 - s, s])[None], o[None])]
    candidates = get_predictions(outputs, 1)[0]
    kept = [box for box in candidates[nms(candidates, 0.3)] if box[-1] > FOUND] if len(candidates) else []
    found = surest_box(list(zip(scores, offsets, strict=True)))
    if kept:
        np.testing.assert_array_equal(found, kept[0])
    else:
        assert np.isnan(found).all()


def test_decoding_is_the_packages_to_the_bit():
    rng = np.random.default_rng(0)
    heatmaps = rng.normal(size=(6, 68, 64, 64)).astype(np.float32)
    for b, p in np.ndindex(6, 8):  # peaks at borders and corners, and a plateau beside a peak
        heatmaps[b, p, [0, 63, 0, 63, 5, 9, 30, 30][p], [0, 0, 63, 63, 0, 63, 30, 30][p]] = 9
    heatmaps[0, 6, 30, 29] = heatmaps[0, 6, 30, 31] = 3
    centres, scales = rng.uniform(-20, 300, (6, 2)), rng.uniform(0.05, 4, 6)
    ours = in_image(peaks(heatmaps), centres, scales)
    for i in range(6):
        on_map, in_frame, _ = get_preds_fromhm(heatmaps[i : i + 1].copy(), centres[i], scales[i])
        np.testing.assert_array_equal(peaks(heatmaps[i : i + 1]), on_map)
        np.testing.assert_array_equal(ours[i : i + 1], in_frame)
    assert (ours < 0).any(), "truncation towards zero must show"


def test_the_crop_lies_above_the_boxs_middle():
    centre, scale = crop_of(np.array([20.0, 10.0, 60.0, 70.0, 0.9]))
    np.testing.assert_allclose(centre, [40, 40 - 0.12 * 60])
    assert scale == pytest.approx(100 / 195)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_cuda_sees_what_the_cpu_sees(weights, finder, frames_u8):
    faces, other = finder.look(frames_u8), FanLandmarks(*weights, torch.device("cuda")).look(frames_u8)
    np.testing.assert_allclose(other.score, faces.score, atol=1e-4)
    assert np.abs(other.landmarks_px - faces.landmarks_px).max() <= 1
