"""Metrics against independent oracles."""

import json
import pickle

import numpy as np
import pytest
import torch

from model.frame.alignment import TEMPLATE_112_PX, five_points, similarity_to
from model.heads.arrays import save_head
from model.releases.flame import import_flame
from pipeline.assets import ASSETS
from pipeline.metrics.akd import KeypointDistance
from pipeline.metrics.backends.pixels import Pixels
from pipeline.metrics.csim import CosineSimilarity
from pipeline.metrics.fid import FrechetDistance, frechet_distance
from pipeline.metrics.head_codes import ExpressionDistance, PoseDistance
from pipeline.metrics.l1 import AbsoluteError
from pipeline.metrics.protocols import Opening
from pipeline.metrics.registry import BACKENDS, FURTHER, METRICS, metric_named, open_measures
from pipeline.metrics.ssim import StructuralSimilarity, ssim_map
from pipeline.params.reports import MetricParams
from pipeline.store.provenance import sha256_file
from pipeline.store.registry import resolve
from tests.asset_folder import project_with_assets
from tests.helpers import shared
from tests.releases import embedding_arrays, flame_arrays, write_embedding, write_flame

NO_WEIGHTS = {
    "fid": {"backend": "inception"},
    "csim": {"backend": "arcface"},
    "akd": {"backend": "fan"},
    "aed": {"backend": "deca", "second_backend": "landmarks"},
    "apd": {"backend": "deca", "second_backend": "landmarks"},
    "l1": {"backend": "pixels"},
    "ssim": {"backend": "pixels"},
    "lpips": {"backend": "lpips_alex"},
    "feature_distance": None,
}


def frames(seed: int, count: int = 3, height: int = 24, width: int = 40) -> np.ndarray:
    """Smooth random frames, wider than high."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.random((count, 3, height // 4, width // 4)))
    smooth = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)
    return (smooth.permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8)


def test_fid_matches_the_golden_value():
    golden = np.load(shared("golden/geometry/metrics.npz"))
    a, b = golden["fid_features_a"], golden["fid_features_b"]
    assert frechet_distance(a, b) == pytest.approx(float(golden["fid"]), rel=1e-6)
    assert frechet_distance(a[:40], b[:40]) == pytest.approx(float(golden["fid_first40_eig"]), rel=1e-6)


def test_fid_matches_scipy_and_is_zero_for_equal_sets():
    from scipy.linalg import sqrtm

    rng = np.random.default_rng(0)
    mix = rng.normal(size=(6, 6))
    a, b = rng.normal(size=(90, 6)) @ mix, rng.normal(size=(70, 6)) @ mix.T * 1.3 + 0.4
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(cov_a + cov_b - 2 * sqrtm(cov_a @ cov_b).real)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(a, a[::-1]) == pytest.approx(0.0, abs=1e-9)
    assert np.isnan(frechet_distance(a[:1], b))


def test_fids_sums_are_float64_whatever_the_features_are():
    """Inception's features are float32, far from zero against their spread: sums in float32 lose the distance."""
    rng = np.random.default_rng(0)
    a, b = (rng.normal(1000, 0.1, (200, 8)).astype(np.float32) for _ in range(2))
    exact = [values.astype(np.longdouble) for values in (a, b)]
    means = [values.mean(0) for values in exact]
    covariances = [((v - m).T @ (v - m) / (len(v) - 1)).astype(np.float64) for v, m in zip(exact, means, strict=True)]
    root = np.sqrt(np.linalg.eigvals(covariances[0] @ covariances[1]).real.clip(0)).sum()
    expected = np.square(means[0] - means[1]).sum() + np.trace(covariances[0] + covariances[1]) - 2 * root
    assert frechet_distance(a, b) == pytest.approx(float(expected), rel=1e-6)


def test_akd_matches_the_golden_value_and_counts_coordinates():
    golden = np.load(shared("golden/geometry/metrics.npz"))
    valid = golden["akd_generated_valid"]
    flat = [golden[f"akd_{name}"][valid].reshape(-1, 136) for name in ("generated", "reference")]
    values = KeypointDistance(Pixels()).compare(*flat)
    assert values.shape == (valid.sum(),)
    assert values.mean() == pytest.approx(float(golden["akd"]), rel=1e-12)


def test_akd_by_hand():
    reference = np.zeros((1, 136))
    generated = np.zeros((1, 136))
    generated[0, :2] = (-3.0, 4.0)  # 5 px by Euclid, 7 px over 136 coordinates here
    assert KeypointDistance(Pixels()).compare(generated, reference)[0] == pytest.approx(7 / 136)


def test_arcface_alignment_matches_the_golden_points_and_matrices():
    golden = np.load(shared("golden/geometry/metrics.npz"))
    five = five_points(torch.from_numpy(golden["csim_landmarks"]))
    np.testing.assert_allclose(five.numpy(), golden["csim_five"], rtol=1e-12)
    template = torch.from_numpy(golden["csim_template"]).expand(len(five), 5, 2)
    np.testing.assert_allclose(similarity_to(five, template).numpy(), golden["csim_matrix"], rtol=1e-8, atol=1e-8)
    assert np.allclose(TEMPLATE_112_PX, golden["csim_template"])


def test_csim_is_a_cosine():
    a, b = np.array([[3.0, 0.0], [1.0, 1.0]]), np.array([[5.0, 0.0], [-2.0, 2.0]])
    np.testing.assert_allclose(CosineSimilarity(Pixels()).compare(a, b), [1.0, 0.0], atol=1e-12)


def test_expression_and_pose_distance_by_hand():
    generated = np.array([[1.0, -2.0, 179.0, 10.0, 0.0]])
    reference = np.array([[0.0, 2.0, -179.0, 4.0, -1.0]])
    assert ExpressionDistance(Pixels()).compare(generated, reference)[0] == pytest.approx(2.5)
    assert PoseDistance(Pixels()).compare(generated, reference)[0] == pytest.approx((2 + 6 + 1) / 3)


def test_l1_is_on_the_255_scale():
    a = np.zeros((2, 4, 6, 3), np.uint8)
    b = a.copy()
    b[0], b[1, :, :3] = 255, 100
    np.testing.assert_allclose(AbsoluteError(Pixels()).compare(a, b), [255.0, 50.0])


def test_ssim_matches_torchmetrics_and_scikit_image():
    from skimage.metrics import structural_similarity
    from torchmetrics.functional.image import structural_similarity_index_measure

    a, b = frames(0), frames(1)
    b = (0.6 * a + 0.4 * b).round().astype(np.uint8)
    values = StructuralSimilarity(Pixels()).compare(a, b)
    planes = [torch.from_numpy(x).permute(0, 3, 1, 2).double() / 255 for x in (a, b)]
    library = structural_similarity_index_measure(*planes, data_range=1.0, reduction="none").numpy()
    np.testing.assert_allclose(values, library, atol=1e-6)
    for x, y in zip(a, b, strict=True):
        full = ssim_map(x / 255.0, y / 255.0)
        options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        other = structural_similarity(x, y, data_range=255, channel_axis=2, full=True, **options)[1]
        np.testing.assert_allclose(full[5:-5, 5:-5], other[5:-5, 5:-5], atol=1e-6)
    assert 0.2 < values.min() < 0.99
    with pytest.raises(ValueError, match="at least 11"):
        StructuralSimilarity(Pixels()).compare(a[:, :8], b[:, :8])


@pytest.mark.parametrize("metric", [AbsoluteError, StructuralSimilarity])
def test_pixel_metrics_are_perfect_for_equal_frames_and_do_not_depend_on_the_batch(metric):
    a, b = frames(2, 5), frames(3, 5)
    whole = metric(Pixels()).compare(a, b)
    single = np.concatenate([metric(Pixels()).compare(a[i : i + 1], b[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(whole, single, rtol=1e-12)
    best = 1.0 if metric.higher_is_better else 0.0
    np.testing.assert_allclose(metric(Pixels()).compare(a, a), best, atol=1e-9)
    assert np.abs(whole - best).min() > 0.05


def test_every_plugin_resolves_and_names_itself():
    for name in [*METRICS, *FURTHER]:
        metric = metric_named(name)
        assert metric.name == name
        assert set(metric.against) <= {"same", "cross"}
    for name in BACKENDS:
        assert resolve(BACKENDS, name, "backend").name == name
    assert KeypointDistance.metric_id("puppet_judge", "", (64, 64)) == "akd_px[puppet_judge,64]"
    assert KeypointDistance.metric_id("fan", "", (64, 48)) == "akd_px[fan,64x48]"
    assert FrechetDistance.metric_id("puppet_judge", "", (64, 64)) == "fid[puppet_judge]"
    assert ExpressionDistance.metric_id("puppet_tracker", "puppet", (64, 64)) == "aed[puppet_tracker,puppet]"
    assert FrechetDistance.against["cross"] == "source"
    assert PoseDistance.against["cross"] == "driving"


def test_lpips_loads_a_backbone_in_torchvisions_layout(tmp_path):
    import torchvision
    from torch.nn import functional as F

    from pipeline.metrics.backends.lpips_alex import LpipsAlex

    torch.manual_seed(0)
    backbone = torchvision.models.alexnet(weights=None)
    torch.save(backbone.state_dict(), tmp_path / "alexnet.pth")
    backend = LpipsAlex(tmp_path / "alexnet.pth", torch.device("cpu"))
    a, b = frames(0, 2, 64, 72), frames(1, 2, 64, 72)
    found = backend.perceptual_distance(a, b)

    def maps(frames_u8: np.ndarray) -> list[torch.Tensor]:
        img = torch.from_numpy(frames_u8).permute(0, 3, 1, 2).float() / 255 * 2 - 1
        shift, scale = torch.tensor([[-0.030, -0.088, -0.188], [0.458, 0.448, 0.450]])[..., None, None]
        x = (img - shift) / scale
        taken = []
        for index, layer in enumerate(backbone.features):
            x = layer(x.clone())
            if index in (1, 4, 7, 9, 11):
                taken.append(F.normalize(x, dim=1))
        return taken

    weights = [lin.model[-1].weight.flatten() for lin in backend.net.lins]
    with torch.no_grad():
        terms = zip(maps(a), maps(b), weights, strict=True)
        expected = sum(((x - y).square() * w[:, None, None]).sum(1).mean((1, 2)) for x, y, w in terms)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4)
    np.testing.assert_allclose(backend.perceptual_distance(a, a), 0, atol=1e-7)
    assert found.min() > 0
    del backbone.features[0]
    torch.save(backbone.state_dict(), tmp_path / "other.pth")
    with pytest.raises((RuntimeError, KeyError)):
        LpipsAlex(tmp_path / "other.pth", torch.device("cpu"))


def test_backends_without_weights_leave_a_reason(tmp_path, monkeypatch):
    project_with_assets(monkeypatch, tmp_path)
    heads = ("flame", "two")
    opening = Opening({name: tmp_path for name in heads}, 0.5, torch.device("cpu"))
    measures = open_measures(MetricParams.model_validate(NO_WEIGHTS), heads, (64, 64), opening)
    by_name = {m.id: m for m in measures}
    assert len(measures) == 16
    assert by_name["l1[0-255]"].backend is not None
    assert by_name["ssim[gauss11]"].reason == ""
    assert "table of real frames" in by_name["apd[landmarks,two]"].reason
    for name in ["fid[inception]", "csim[arcface]", "akd_px[fan,64]", "aed[deca,flame]", "lpips[lpips_alex]"]:
        assert by_name[name].backend is None
        assert "pwm assets import" in by_name[name].reason
    other = open_measures(MetricParams.model_validate(NO_WEIGHTS), ("two", "flame"), (64, 64), opening)
    assert {m.reason for m in other if m.backend_name == "deca"} == {"DECA fits the head 'flame', not 'two'"}


@pytest.mark.parametrize("content", ["<html>", "", "pickle", "other tensors"])
def test_weights_that_cannot_be_read_leave_a_reason_and_the_other_columns(content, tmp_path, monkeypatch):
    """Files that came into the folder, and onto the record, without `pwm assets import`."""
    folder = project_with_assets(monkeypatch, tmp_path)
    folder.mkdir()
    names = ("inception", "lpips_alex", "arcface", "fan", "s3fd", "deca")
    for file in [folder / ASSETS[name].file for name in names]:
        if content == "other tensors":
            torch.save({"weight": torch.zeros(2)}, file)
        else:
            file.write_bytes(pickle.dumps(print) if content == "pickle" else content.encode())
    record = {name: sha256_file(folder / ASSETS[name].file) for name in names}
    (tmp_path / "assets.lock.json").write_text(json.dumps(record))
    heads = ("flame", "two")
    arrays = flame_arrays()
    release = (
        write_flame(tmp_path / "generic_model.pkl", arrays),
        write_embedding(tmp_path / "landmark_embedding.npy", embedding_arrays(arrays)),
    )
    save_head(tmp_path / "flame.npz", import_flame(*release))
    opening = Opening({name: tmp_path / f"{name}.npz" for name in heads}, 0.5, "cpu")
    measures = {m.id: m for m in open_measures(MetricParams.model_validate(NO_WEIGHTS), heads, (64, 64), opening)}
    for name in ["fid[inception]", "csim[arcface]", "akd_px[fan,64]", "aed[deca,flame]", "lpips[lpips_alex]"]:
        assert measures[name].backend is None
        assert f"{measures[name].backend_name} cannot run (" in measures[name].reason
        assert "\n" not in measures[name].reason
    assert measures["l1[0-255]"].backend is not None


def test_unknown_metric_settings_are_refused():
    with pytest.raises(ValueError, match="backend"):
        MetricParams.model_validate({**NO_WEIGHTS, "akd": {"backend": "inception"}})
    with pytest.raises(ValueError, match="fidd"):
        MetricParams.model_validate({**NO_WEIGHTS, "fidd": {"backend": "inception"}})
