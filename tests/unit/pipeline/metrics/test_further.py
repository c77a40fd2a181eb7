"""The further columns against other libraries and by hand."""

import numpy as np
import pytest
import torch

from pipeline.metrics.akd import NormalisedError
from pipeline.metrics.backends.pixels import Pixels
from pipeline.metrics.csim import CosineSimilarity, DriverSimilarity
from pipeline.metrics.head_codes import YawGap
from pipeline.metrics.kid import KernelDistance, kernel_distance
from pipeline.metrics.psnr import PeakSignalToNoise
from pipeline.metrics.registry import FOLLOWS, FURTHER, METRICS, further
from pipeline.metrics.ssim import MultiScaleSimilarity


def noisy(count: int, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Smooth frames, and the same with noise, some of it heavy."""
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.random((count, 3, height // 8, width // 8)))
    smooth = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)
    clean = (smooth.permute(0, 2, 3, 1).numpy() * 255).round()
    noise = rng.normal(size=clean.shape) * np.linspace(3, 120, count)[:, None, None, None]
    return clean.astype(np.uint8), (clean + noise).round().clip(0, 255).astype(np.uint8)


def test_kid_is_torchmetrics_unbiased_estimate_over_all_images():
    from torchmetrics.image.kid import poly_mmd

    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(1500, 16)).astype(np.float32), (rng.normal(size=(1500, 16)) * 1.2 + 0.3).astype(np.float32)
    expected = float(poly_mmd(*(torch.from_numpy(x).double() for x in (a, b))))
    assert kernel_distance(a, b) == pytest.approx(expected, rel=1e-10)
    assert KernelDistance.distance(b, a) == pytest.approx(expected, rel=1e-10)
    assert np.isnan(kernel_distance(a[:1], b))
    assert kernel_distance(a, a) < 0


def test_kid_does_not_depend_on_the_number_of_images_where_fid_does():
    rng = np.random.default_rng(1)
    few = [kernel_distance(*rng.normal(size=(2, 20, 8))) for _ in range(400)]
    many = [kernel_distance(*rng.normal(size=(2, 80, 8))) for _ in range(100)]
    for found in (few, many):
        assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(len(found))
    sizes = kernel_distance(rng.normal(size=(30, 8)), rng.normal(size=(50, 8)) + 1)
    assert sizes > 0.1


def test_ms_ssim_is_torchmetrics_definition():
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as library

    a, b = noisy(4, 177, 200)
    found = MultiScaleSimilarity(Pixels()).compare(b, a)
    planes = [torch.from_numpy(x).permute(0, 3, 1, 2).double() / 255 for x in (b, a)]
    expected = library(*planes, data_range=1.0, normalize="relu", reduction="none")
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-6)
    assert found[-1] < 0.9 < found[0]
    np.testing.assert_allclose(MultiScaleSimilarity(Pixels()).compare(a, a), 1, atol=1e-9)


def test_ms_ssim_says_why_small_frames_have_no_number():
    assert MultiScaleSimilarity.undefined((161, 200)) == ""
    assert MultiScaleSimilarity.undefined((256, 160)).endswith("needs frames of at least 161 px, not 256x160")


def test_psnr_is_scikit_images_and_has_a_ceiling():
    from skimage.metrics import peak_signal_noise_ratio

    a, b = noisy(3, 24, 40)
    expected = [peak_signal_noise_ratio(x, y, data_range=255) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(PeakSignalToNoise(Pixels()).compare(b, a), expected, rtol=1e-12)
    np.testing.assert_allclose(PeakSignalToNoise(Pixels()).compare(a, a), 100)
    one_level = a.copy()
    one_level[:, 0, 0, 0] ^= 1
    assert (PeakSignalToNoise(Pixels()).compare(one_level, a) < 100).all()


def test_nme_by_hand():
    reference = np.zeros((2, 68, 2))
    reference[0, 45] = (30.0, 40.0)  # the eyes are 50 px apart; in the second image they fall together
    generated = reference.copy()
    generated[0, 10] += (3.0, 4.0)
    found = NormalisedError(Pixels()).compare(generated.reshape(2, 136), reference.reshape(2, 136))
    assert found[0] == pytest.approx(100 * 5 / 68 / 50)
    assert np.isnan(found[1])


def test_csim_to_the_driver_is_a_cosine_against_the_driving_image():
    a, b = np.random.default_rng(0).normal(size=(2, 5, 8))
    np.testing.assert_array_equal(DriverSimilarity(Pixels()).compare(a, b), CosineSimilarity(Pixels()).compare(a, b))
    assert DriverSimilarity.against == {"cross": "driving"}
    assert not DriverSimilarity.higher_is_better


def test_the_yaw_gap_is_of_yaw_alone_and_runs_around():
    source, target = np.array([[5.0, 179.0, 9.0, 9.0]]), np.array([[0.0, -178.0, 0.0, 0.0]])
    assert YawGap(Pixels()).compare(source, target)[0] == pytest.approx(3)


def test_a_further_column_is_measured_by_its_leaders_backends_on_the_first_head():
    assert set(FOLLOWS) == set(FURTHER)
    assert set(FOLLOWS.values()) <= set(METRICS)
    columns = [("fid", "a", ""), ("fid", "b", ""), ("apd", "t", "one"), ("apd", "t", "two"), ("l1", "pixels", "")]
    found = further(columns, "one")
    assert found == [("psnr", "pixels", ""), ("kid", "a", ""), ("kid", "b", ""), ("yaw_gap", "t", "one")]
