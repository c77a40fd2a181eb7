"""Open instruments as backends: what they read, by whose landmarks, and the column that is not LPIPS."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from model.instruments.dlib_resnet import DlibResnet, load_dlib_resnet
from model.instruments.efficientnet_lite0 import EfficientNetLite0, convert, load_efficientnet_lite0
from model.instruments.face_chips import FIVE_OF_68, MEAN_FACE, face_chips
from pipeline.metrics.backends.dlib_resnet import DlibFaces
from pipeline.metrics.backends.efficientnet_lite0 import Lite0
from pipeline.metrics.feature_distance import FeatureDistance
from pipeline.metrics.protocols import BackendUnavailable, Opening
from pipeline.metrics.registry import BACKENDS, open_measures, wanted
from pipeline.params.reports import MetricParams
from pipeline.params.sections.base import PerceptualSection
from pipeline.report.grids import table2_columns
from pipeline.training.run import load_backbone
from tests.asset_folder import project_with_assets
from tests.open_assets import open_file

CPU = torch.device("cpu")
SETTINGS = {
    "fid": {"backend": "efficientnet_lite0"},
    "csim": {"backend": "dlib_resnet"},
    "akd": {"backend": ["puppet_judge", "fan"]},
    "aed": {"backend": "landmarks", "second_backend": "landmarks"},
    "apd": {"backend": "landmarks", "second_backend": "landmarks"},
    "l1": {"backend": "pixels"},
    "ssim": {"backend": "pixels"},
    "lpips": None,
    "feature_distance": {"backend": "efficientnet_lite0"},
}


@pytest.fixture(scope="module")
def dlib_weights(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("dlib") / "dlib_resnet.safetensors"
    save_file(DlibResnet().state_dict(), path)
    return path


@pytest.fixture(scope="module")
def lite_weights(tmp_path_factory) -> Path:
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("lite") / "efficientnet_lite0.safetensors"
    save_file(EfficientNetLite0().state_dict(), path)
    return path


class Finder:
    """Says where the face of a frame is by its brightness, and finds none in a black one."""

    name = "finder"
    fingerprint = "finder"
    weights_sha256 = ""

    def observe(self, frames_u8: np.ndarray) -> dict[str, np.ndarray]:
        points = np.full((len(frames_u8), 68, 2), np.nan, np.float32)
        for row, frame in enumerate(frames_u8):
            if frame.max():
                points[row] = 3.0
                points[row, list(FIVE_OF_68)] = (np.array(MEAN_FACE) - 0.5) * 40 + 45 + frame.mean() / 30
        return {"landmarks_px": points.reshape(len(frames_u8), 136)}


def frames(seed: int, count: int, height: int = 80, width: int = 112) -> np.ndarray:
    """Smooth random frames, wider than high."""
    coarse = torch.from_numpy(np.random.default_rng(seed).random((count, 3, height // 8, width // 8)))
    smooth = F.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)
    return (smooth.permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8)


def planes(frames_u8: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(frames_u8).permute(0, 3, 1, 2).float() / 255


def test_identity_is_read_in_the_chip_at_its_own_landmarks(dlib_weights):
    backend, images = DlibFaces(dlib_weights, Finder(), CPU), frames(0, 4)
    images[2] = 0
    found = backend.observe(images)["embedding"]
    assert found.shape == (4, 128)
    assert np.isnan(found[2]).all()
    rows = [0, 1, 3]
    points = torch.from_numpy(Finder().observe(images)["landmarks_px"][rows]).unflatten(1, (68, 2))
    with torch.no_grad():
        expected = load_dlib_resnet(dlib_weights)(face_chips(planes(images[rows]), points)).numpy()
    largest = np.abs(expected).max()
    np.testing.assert_allclose(found[rows], expected, rtol=0, atol=1e-5 * largest)
    assert np.abs(expected[0] - expected[1]).max() > 0.01 * largest
    alone = np.concatenate([backend.observe(images[i : i + 1])["embedding"] for i in range(4)])
    np.testing.assert_allclose(found, alone, rtol=0, atol=1e-5 * largest)
    assert np.isnan(backend.observe(images[2:3])["embedding"]).all()


def test_landmarks_that_another_metric_has_read_are_taken_as_they_are(dlib_weights):
    class Blind(Finder):
        def observe(self, frames_u8: np.ndarray) -> dict[str, np.ndarray]:
            raise AssertionError("looked twice")

    images = frames(1, 3)
    seen: Mapping[str, np.ndarray] = Finder().observe(images)
    given = DlibFaces(dlib_weights, Blind(), CPU).observe_with(images, seen)["embedding"]
    np.testing.assert_array_equal(given, DlibFaces(dlib_weights, Finder(), CPU).observe(images)["embedding"])


def test_other_landmarks_give_other_readings_a_key(dlib_weights):
    class Other(Finder):
        fingerprint = "other"

    prints = [DlibFaces(dlib_weights, base, CPU).fingerprint for base in (Finder(), Finder(), Other())]
    assert prints[0] == prints[1] != prints[2]


def test_identity_is_aligned_by_the_first_backend_of_akd(dlib_weights, lite_weights, monkeypatch):
    """It is opened once: what AKD reads in an image is what CSIM is aligned by."""
    files = {"dlib_resnet": dlib_weights, "efficientnet_lite0": lite_weights}
    for name in files:
        monkeypatch.setattr(f"pipeline.metrics.backends.{name}.require", files.get)
    opening = Opening({name: Path(f"{name}.npz") for name in ("one", "two")}, 0.5, CPU)
    measures = {
        m.id: m for m in open_measures(MetricParams.model_validate(SETTINGS), ("one", "two"), (64, 64), opening)
    }
    csim = measures["csim[dlib_resnet]"].backend
    assert isinstance(csim, DlibFaces)
    assert csim.base is measures["akd_px[puppet_judge,64]"].backend
    assert measures["fid[efficientnet_lite0]"].backend is measures["feature_distance[efficientnet_lite0]"].backend
    assert measures["fid[efficientnet_lite0]"].backend.weights_sha256
    assert not any(name.startswith("lpips") for name in measures)


def test_without_landmarks_or_weights_a_column_says_why(dlib_weights, tmp_path, monkeypatch):
    project_with_assets(monkeypatch, tmp_path)
    opening = Opening({name: Path(f"{name}.npz") for name in ("one", "two")}, 0.5, CPU)
    settings = MetricParams.model_validate(SETTINGS | {"akd": {"backend": "fan"}})

    def reasons() -> dict[str, str]:
        return {m.metric.name: m.reason for m in open_measures(settings, ("one", "two"), (64, 64), opening)}

    found = reasons()
    assert "dlib_resnet: no weights" in found["csim"]
    assert "EfficientNet-Lite0" in found["feature_distance"]
    monkeypatch.setattr("pipeline.metrics.backends.dlib_resnet.require", lambda name: dlib_weights)
    assert "faces are aligned by the points that AKD measures with: fan: no weights" in reasons()["csim"]
    with pytest.raises(BackendUnavailable, match="nothing here finds any"):
        DlibFaces.open(opening)


def test_pooled_features_are_those_of_the_image_at_224_px(lite_weights):
    backend, images = Lite0(lite_weights, CPU), frames(2, 3)
    found = backend.observe(images)["pooled"]
    assert found.shape == (3, 1280)
    large = F.interpolate(planes(images), size=(224, 224), mode="bilinear", antialias=True)
    with torch.no_grad():
        expected = load_efficientnet_lite0(lite_weights).pooled(large).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * expected.max())
    alone = np.concatenate([backend.observe(images[i : i + 1])["pooled"] for i in range(3)])
    np.testing.assert_allclose(found, alone, rtol=0, atol=1e-4 * expected.max())


def test_the_feature_distance_is_that_of_unit_vectors_in_five_maps(lite_weights):
    backend, a, b = Lite0(lite_weights, CPU), frames(3, 2), frames(4, 2)
    found = FeatureDistance(backend).compare(a, b)
    assert found.dtype == np.float64
    with torch.no_grad():
        maps = [load_efficientnet_lite0(lite_weights).double().features(planes(x).double()) for x in (a, b)]
    expected = np.zeros(2)
    for x, y in zip(*maps, strict=True):
        unit = [m.numpy() / np.linalg.norm(m.numpy(), axis=1, keepdims=True) for m in (x, y)]
        expected += np.square(unit[0] - unit[1]).sum(1).mean((1, 2)) / 5
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    np.testing.assert_array_equal(FeatureDistance(backend).compare(a, a), 0)


def test_it_does_not_stand_under_lpips():
    params = MetricParams.model_validate(SETTINGS)
    columns = wanted(params, ("one", "two"))
    assert [name for name, _, _ in columns][-1] == "feature_distance"
    assert FeatureDistance.metric_id("efficientnet_lite0", "", (64, 64)) == "feature_distance[efficientnet_lite0]"
    with pytest.raises(ValueError, match="lpips"):
        MetricParams.model_validate(SETTINGS | {"lpips": {"backend": "efficientnet_lite0"}})
    with pytest.raises(ValueError, match="feature_distance"):
        MetricParams.model_validate({name: value for name, value in SETTINGS.items() if name != "feature_distance"})


@pytest.mark.parametrize("names", [("lpips",), ("feature_distance",), ("lpips", "feature_distance"), ()])
def test_table_2_prints_the_distances_that_are_measured(names):
    def measured(name: str) -> SimpleNamespace:
        return SimpleNamespace(name=name, label=name.upper(), head="", higher_is_better=False)

    measures = {name: measured(name) for name in ("l1", "ssim", *names)}
    results = SimpleNamespace(measures=list(measures.values()), measure=lambda name, head="": measures[name])
    assert [column.header for column in table2_columns(results)] == [f"{name.upper()} ↓" for name in measures]


def test_a_recipe_names_it_as_the_network_of_its_perceptual_loss(lite_weights):
    section = PerceptualSection(backbone="efficientnet_lite0", weights=str(lite_weights), blocks=5)
    backbone = load_backbone(section)
    assert len(backbone.features(torch.rand(1, 3, 64, 64))) == 5
    assert not any(weight.requires_grad for weight in backbone.parameters())


def test_another_networks_file_is_refused(dlib_weights, lite_weights, tmp_path):
    with pytest.raises(ValueError, match=r"lite0.safetensors holds another network: \d+ of its tensors differ"):
        load_dlib_resnet(lite_weights)
    (tmp_path / "cut.safetensors").write_bytes(dlib_weights.read_bytes()[:1000])
    with pytest.raises(ValueError, match="cut.safetensors is damaged"):
        load_dlib_resnet(tmp_path / "cut.safetensors")


def test_every_open_instrument_has_its_line():
    assert {"dlib_resnet", "efficientnet_lite0"} <= set(BACKENDS)


def test_the_released_weights_tell_pictures_apart(tmp_path):
    """A blurred picture is nearer to its original than another picture, in both readings."""
    release = open_file("efficientnet-lite0-57934424.pth")
    data = pytest.importorskip("skimage.data")
    save_file(convert(release), tmp_path / "lite.safetensors")
    backend = Lite0(tmp_path / "lite.safetensors", CPU)
    cat, coffee = (picture[:256, :256] for picture in (data.chelsea(), data.coffee()))
    small = planes(np.stack([cat])).clone()
    blurred = F.interpolate(F.avg_pool2d(small, 2), size=(256, 256), mode="bilinear")
    soft = (blurred.permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8)[0]
    distance = backend.perceptual_distance(np.stack([cat, cat, cat]), np.stack([cat, soft, coffee]))
    assert distance[0] == 0
    assert 0.05 < distance[1] < distance[2]
    pooled = backend.observe(np.stack([cat, soft, coffee]))["pooled"]
    gaps = np.linalg.norm(pooled[1:] - pooled[0], axis=1)
    assert 0 < gaps[0] < gaps[1]
