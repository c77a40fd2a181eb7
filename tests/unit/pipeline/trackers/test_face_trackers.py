"""The trackers `deca` and `deep3d` on random weights in the released layout: rows, maps, refusals, readings."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from model.frame.coords import apply_affine, px_to_ndc
from model.heads.arrays import save_head
from model.heads.head import HeadModel
from model.releases.bfm import import_bfm
from model.releases.flame import import_flame
from model.trackers import deca, deep3d
from pipeline.fitting.run import FitWork, fit_clips
from pipeline.metrics.backends.fan import Fan
from pipeline.metrics.backends.trackers import Deca, Deep3D
from pipeline.metrics.protocols import BackendUnavailable, Opening
from pipeline.params.tree import load_params
from pipeline.puppets.render import Camera
from pipeline.store.assets import AssetMissing
from pipeline.store.clips import ClipWriter, encode_frame
from pipeline.store.compute.devices import full_precision
from pipeline.store.fits import FitTable
from pipeline.store.registry import resolve
from pipeline.store.schema import INDEX, metadata_of, read_table, write_table
from pipeline.trackers import deca_crop, deep3d_crop
from pipeline.trackers.fan import Faces
from pipeline.trackers.protocol import TrackerUnavailable
from pipeline.trackers.released import load_released
from pipeline.trackers.table import TRACKERS
from pipeline.work.scratch import remove_pieces
from tests.asset_folder import project_with_assets
from tests.helpers import ROOT
from tests.puppet_studio import codes, landmarks_px, person, studio
from tests.releases import bfm_variables, embedding_arrays, flame_arrays, write_embedding, write_flame

CPU = torch.device("cpu")

SIZE = (96, 120)  # height, width
SQUEEZE = (0.8, 0.0, 0.05, 0.0, 1.0, 0.0)  # makes the head fill a frame that is wider than high
STATUS = ["ok", "no_landmarks", "low_score", "no_crop", "ok"]
NAMES = ("deca", "deep3d")
HEADS = {"deca": "flame", "deep3d": "bfm"}
NUM_EXPRESSION = {"deca": 50, "deep3d": 64}
CLIP = "p#test#000000#000005"


@dataclass
class GivenFaces:
    """Stands for FAN: it knows the landmarks of five frames by their order."""

    faces: Faces
    fingerprint: str = "given"
    weights_sha256: str = "sha"

    def look(self, frames_u8: np.ndarray) -> Faces:
        assert frames_u8.shape[1:] == (*SIZE, 3)
        return Faces(*(values[: len(frames_u8)] for values in (self.faces.landmarks_px, self.faces.score)))


@pytest.fixture(scope="module")
def clip() -> tuple[np.ndarray, GivenFaces]:
    """Five frames of a puppet that turns; FAN sees no face in one, is unsure of one, and finds a point in one."""
    who = person()
    poses = [codes(who, yaw_deg=yaw) for yaw in (-20, -10, 0, 10, 20)]
    camera, actor = Camera(studio()), studio().dress(who)
    frames = [
        camera.film(actor, *(c[name] for name in ("shape", "expression", "pose", "camera")), SIZE, np.array(SQUEEZE))[0]
        for c in poses
    ]
    marks = np.stack([landmarks_px(c, SQUEEZE, SIZE) for c in poses]).astype(np.float32)
    marks[1], marks[3] = np.nan, 40.0
    score = np.array([0.99, np.nan, 0.3, 0.9, 0.6], np.float32)
    return np.stack([frame.image for frame in frames]), GivenFaces(Faces(marks, score))


def write_clip(folder: Path, split: str, frames_u8: np.ndarray) -> None:
    with ClipWriter(folder, "png", 1 << 20) as writer:
        shard, batch = writer.add(0, [encode_frame(frame, "png", 0) for frame in frames_u8])
    row = {
        "clip": CLIP, "dataset": "set", "split": split, "person": "p", "video": "test", "start": 0, "end": 5,
        "fps": 25.0, "num_frames": 5, "source_width": 120, "source_height": 96, "crop_map": [1, 0, 0, 0, 1, 0],
        "frame_index": list(range(5)), "shard": shard, "batch": batch,
    }  # fmt: skip
    write_table(folder / "index.parquet", pa.Table.from_pylist([row], schema=INDEX))


@pytest.fixture(scope="module")
def heads(tmp_path_factory) -> dict[str, HeadModel]:
    folder, arrays = tmp_path_factory.mktemp("heads"), flame_arrays()
    flame = import_flame(
        write_flame(folder / "generic_model.pkl", arrays),
        write_embedding(folder / "landmark_embedding.npy", embedding_arrays(arrays)),
    )
    found = {"deca": flame, "deep3d": import_bfm("BFM_model_front.mat", bfm_variables())}
    for name in NAMES:
        save_head(folder / f"{HEADS[name]}.npz", found[name])
    return {name: HeadModel(arrays) for name, arrays in found.items()}


def calm(network: torch.nn.Module) -> torch.nn.Module:
    """Make an untrained residual network answer with small numbers."""
    for name, value in network.named_parameters():
        if name.endswith("bn3.weight"):
            torch.nn.init.constant_(value, 0.2)
        elif name.startswith(("layers.2", "final_layers")):
            value.data.mul_(0.02)
    return network


@pytest.fixture(scope="module")
def assets(tmp_path_factory):
    """Random weights, in files as the releases write them: other parts and training states beside the networks."""
    folder = tmp_path_factory.mktemp("assets")
    torch.manual_seed(0)
    encoder, regressor = calm(deca.DecaEncoder()), calm(deep3d.Deep3dRegressor())
    camera = sum(deca.SIZES[:4])
    with torch.no_grad():
        encoder.layers[2].bias[camera : camera + 3] = torch.tensor([7.0, 0.0, 0.0])  # the head fills its crop
    torch.save({"E_flame": encoder.state_dict(), "E_detail": {}, "opt": {"state": {}}}, folder / "deca_model.tar")
    torch.save({"net_recon": regressor.state_dict(), "opt_00": {"state": {}}}, folder / "deep3d.pth")
    return folder


@pytest.fixture
def params():
    fit = load_params(ROOT / "tests" / "data" / "small.yaml").fit
    return fit.model_copy(update={"max_residual": 100.0, "max_fail_rate": 1.0})


@pytest.fixture
def opened(assets, clip, heads, params, tmp_path, monkeypatch):
    """Open a tracker by its name, with the given landmarks in FAN's place."""
    project_with_assets(monkeypatch, tmp_path, assets)
    monkeypatch.setattr("pipeline.trackers.face_reader.find_fan", lambda device: clip[1])

    def open_tracker(name: str, **changes: float):
        return resolve(TRACKERS, name, "tracker").open(heads[name], params.model_copy(update=changes), {}, CPU)

    return open_tracker


@pytest.mark.parametrize("name", NAMES)
def test_every_frame_gets_a_row_and_only_faces_that_are_seen_are_fitted(name, opened, clip):
    frames_u8, finder = clip
    tracker = opened(name)
    rows = tracker.fit_images(frames_u8)
    assert rows.status == STATUS
    np.testing.assert_array_equal(rows.score, finder.faces.score)
    fitted = np.array([status == "ok" for status in STATUS])
    for field in ("shape", "expression", "pose", "camera", "tracker_map"):
        assert (getattr(rows.fit, field).isfinite().all(1).numpy() == fitted).all(), field
    assert (np.isfinite(rows.residual) == fitted).all()
    wanted = px_to_ndc(torch.from_numpy(finder.faces.landmarks_px), SIZE)
    np.testing.assert_array_equal(rows.landmarks, wanted.numpy())
    assert tracker.head.place(rows.fit[[0, 4]]).isfinite().all()
    again = opened(name).fit_images(frames_u8)
    assert all(torch.equal(getattr(rows.fit, f)[[0, 4]], getattr(again.fit, f)[[0, 4]]) for f in ("pose", "camera"))
    alone = tracker.fit_images(frames_u8[:1])
    torch.testing.assert_close(alone.fit.expression[0], rows.fit.expression[0], rtol=1e-4, atol=1e-6)


def test_the_map_is_that_of_decas_crop(opened, clip):
    frames_u8, finder = clip
    rows = opened("deca").fit_images(frames_u8)
    crop = deca_crop.find_crop(torch.from_numpy(finder.faces.landmarks_px[[0, 4]]))
    torch.testing.assert_close(rows.fit.tracker_map[[0, 4]], deca_crop.tracker_map(crop, SIZE).float())
    # The crop's middle is the middle of the landmarks' box, by the map as well.
    middle = apply_affine(rows.fit.tracker_map[:1], torch.tensor([[[223 / 224 - 1, 223 / 224 - 1]]]))[0, 0]
    marks = rows.landmarks[0]
    np.testing.assert_allclose(middle.numpy(), (marks.min(0) + marks.max(0)) / 2, atol=1e-5)


def test_the_map_is_that_of_deep3ds_crop(opened, clip):
    frames_u8, finder = clip
    rows = opened("deep3d").fit_images(frames_u8)
    for row in (0, 4):
        crop = deep3d_crop.find_crop(finder.faces.landmarks_px[row], SIZE)
        np.testing.assert_allclose(rows.fit.tracker_map[row].numpy(), deep3d_crop.tracker_map(crop), rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_network_sees_the_crop_in_rgb_between_0_and_1(name, opened, clip, monkeypatch):
    tracker, seen = opened(name), []
    width = {"deca": 236, "deep3d": 257}[name]
    monkeypatch.setattr(tracker.reader.network, "forward", lambda img: seen.append(img) or torch.zeros(len(img), width))
    red = np.zeros_like(clip[0][:1])
    red[..., 0] = 255
    tracker.fit_images(red)
    (img,) = seen
    assert img.shape == (1, 3, 224, 224)
    assert img.max() == 1.0
    assert img[0, 0, 112, 112] == 1.0
    assert img[0, 1:].max() == 0.0


def test_decas_pose_turns_the_root_and_the_jaw(heads):
    parameters = torch.arange(236.0)[None] / 100
    fit = deca.to_fit(parameters, heads["deca"], torch.zeros(1, 6, dtype=torch.float64))
    assert fit.pose.shape == (1, 15)
    assert torch.equal(fit.pose[:, :3], parameters[:, 200:203])
    assert torch.equal(fit.pose[:, 6:9], parameters[:, 203:206])
    assert fit.pose[:, [3, 4, 5, *range(9, 15)]].abs().max() == 0
    assert torch.equal(fit.shape, parameters[:, :100])
    assert torch.equal(fit.expression, parameters[:, 150:200])
    assert torch.equal(fit.camera, parameters[:, 206:209])
    assert fit.tracker_map.dtype == torch.float32


def test_deep3ds_coefficients_are_taken_in_their_order():
    coefficients = torch.arange(257.0)[None]
    fit = deep3d.to_fit(coefficients, torch.zeros(1, 6))
    parts = {"shape": slice(0, 80), "expression": slice(80, 144), "pose": slice(224, 227), "camera": slice(254, 257)}
    for field, where in parts.items():
        assert torch.equal(getattr(fit, field), coefficients[:, where]), field


@pytest.mark.parametrize("network", [deca.DecaEncoder, deep3d.Deep3dRegressor])
def test_the_networks_refuse_crops_of_another_size(network):
    with pytest.raises(ValueError, match=r"crops of 224 px, got \(200, 224\)"), torch.device("meta"):
        network()(torch.zeros(1, 3, 200, 224))


@pytest.mark.parametrize("name", NAMES)
def test_a_clip_is_fitted_from_its_pack_to_its_table(name, opened, clip, heads, params, tmp_path, monkeypatch):
    opened(name)
    frames_u8, _ = clip
    for folder, split in {"train": "train", "eval": "test"}.items():
        write_clip(tmp_path / "clips" / folder, split, frames_u8)
    save_head(tmp_path / "head.npz", heads[name].arrays)
    made = []
    for run in ("first", "second"):
        monkeypatch.setenv("DVC_ROOT", str(tmp_path / run))
        work = FitWork(workers=0, scheduler=None, clip_timeout_s=60, retry_failed=False)
        settings = params.model_copy(update={"tracker": name})
        counts = fit_clips(settings, tmp_path / "head.npz", tmp_path / "clips", {}, tmp_path / run / "fits", work, CPU)
        assert counts == {"ok": 4, "no_landmarks": 2, "low_score": 2, "no_crop": 2}
        made.append((tmp_path / run / "fits" / "eval.parquet").read_bytes())
    assert made[0] == made[1]
    table = read_table(tmp_path / "first" / "fits" / "eval.parquet")
    facts = metadata_of(table)
    tracker = opened(name)
    assert (facts["head"], facts["tracker"]) == (HEADS[name], name)
    assert facts["weights_sha256"] == tracker.weights_sha256
    fits = FitTable(table)
    fits.require_head(heads[name], "eval.parquet")
    assert fits.status.tolist() == STATUS
    rows = tracker.fit_images(frames_u8)
    assert torch.equal(fits.head_fit([0, 4]).expression, rows.fit.expression[[0, 4]])


def test_the_faces_of_a_clip_are_found_once_for_all_heads(opened, clip, heads, params, tmp_path, monkeypatch):
    """Both trackers fit one clip: the second takes the faces that the first kept, and fits the same as alone."""
    frames_u8, finder = clip
    for folder, split in {"train": "train", "eval": "test"}.items():
        write_clip(tmp_path / "clips" / folder, split, frames_u8)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    looked, look = [], GivenFaces.look
    monkeypatch.setattr(GivenFaces, "look", lambda self, frames: looked.append(len(frames)) or look(self, frames))
    tables = {}
    for name in (*NAMES, "deca"):
        opened(name)
        save_head(tmp_path / "head.npz", heads[name].arrays)
        work = FitWork(workers=0, scheduler=None, clip_timeout_s=60, retry_failed=False)
        settings = params.model_copy(update={"tracker": name, "min_score": params.min_score - 0.01 * len(tables)})
        fit_clips(settings, tmp_path / "head.npz", tmp_path / "clips", {}, tmp_path / name, work, CPU)
        tables[name] = FitTable(read_table(tmp_path / name / "eval.parquet"))
    assert looked == [5], "training and test clip are the same frames of the same name"
    for name in NAMES:
        alone = opened(name).fit_images(frames_u8)
        assert tables[name].status.tolist() == STATUS
        assert torch.equal(tables[name].head_fit([0, 4]).pose, alone.fit.pose[[0, 4]])
    (kept,) = (tmp_path / "data" / "scratch").glob("*/faces/*/*/*.npz")
    assert remove_pieces(tmp_path / "data" / "scratch", "p") >= 1
    assert not kept.exists()


@pytest.mark.parametrize("name", NAMES)
def test_what_results_depend_on_is_in_the_fingerprint(name, opened, assets, heads, clip):
    known = opened(name)
    assert known.fingerprint == opened(name, max_fail_rate=0.5).fingerprint
    others = [opened(name, min_score=0.1), opened(name, max_residual=1.0)]
    other_faces = replace(clip[1], fingerprint="other FAN")
    file = assets / {"deca": "deca_model.tar", "deep3d": "deep3d.pth"}[name]
    reader = type(known.reader)(heads[name], other_faces, file, CPU)
    assert len({known.fingerprint, *(other.fingerprint for other in others)}) == 3
    assert reader.fingerprint != known.reader.fingerprint
    assert len(known.weights_sha256) == 64


@pytest.mark.parametrize("name", NAMES)
def test_a_large_residual_is_told(name, opened, clip):
    rows = opened(name, max_residual=1e-6).fit_images(clip[0])
    assert rows.status == [status.replace("ok", "high_residual") for status in STATUS]


@pytest.mark.parametrize(("name", "message"), [
    ("deca", r"DECA fits the head 'flame', not 'bfm'"), ("deep3d", r"Deep3DFaceRecon fits the head 'bfm', not 'flame'"),
])  # fmt: skip
def test_a_head_that_a_tracker_is_not_for_is_refused(name, message, heads, params, clip, monkeypatch, tmp_path):
    project_with_assets(monkeypatch, tmp_path)
    other = heads[NAMES[1 - NAMES.index(name)]]
    with pytest.raises(TrackerUnavailable, match=message):
        resolve(TRACKERS, name, "tracker").open(other, params, {}, CPU)
    backend = {"deca": Deca, "deep3d": Deep3D}[name]
    with pytest.raises(BackendUnavailable, match=message):
        backend.open(Opening({other.name: tmp_path / "head.npz"}, 0.5, CPU))


def test_a_head_of_the_right_name_with_other_codes_is_refused(heads, clip, assets):
    fewer = replace(heads["deca"].arrays, shape_basis=heads["deca"].arrays.shape_basis[:90])
    reader = resolve(TRACKERS, "deca", "tracker").reader_class
    with pytest.raises(TrackerUnavailable, match=r"100 identity and 50 expression codes; this one has 90 and 50"):
        reader(HeadModel(fewer), clip[1], assets / "deca_model.tar", CPU)


@pytest.mark.parametrize(("name", "words"), [
    ("deca", ("deca_model.tar", "DECA's project page", "non-commercial", "pwm assets import deca FILE")),
    ("deep3d", ("epoch_20.pth", "Deep3DFaceRecon_pytorch", "non-commercial", "pwm assets import deep3d FILE")),
])  # fmt: skip
def test_missing_weights_are_named_with_the_remedy(name, words, heads, params, assets, tmp_path, monkeypatch):
    project_with_assets(monkeypatch, tmp_path)
    with pytest.raises(AssetMissing) as caught:
        resolve(TRACKERS, name, "tracker").open(heads[name], params, {}, CPU)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert "\n" not in str(caught.value)
    project_with_assets(monkeypatch, tmp_path, assets)  # which have no FAN
    with pytest.raises(AssetMissing, match="pwm assets import fan FILE"):
        resolve(TRACKERS, name, "tracker").open(heads[name], params, {}, CPU)


def test_a_file_that_is_not_the_release_is_refused_in_one_line(assets, tmp_path):
    path = tmp_path / "weights.pth"
    state = torch.load(assets / "deca_model.tar", weights_only=True)["E_flame"]
    cases = [
        ({"E_detail": {}}, r"has no 'E_flame': it holds E_detail"),
        ([1, 2], r"has no 'E_flame': it holds list"),
        ({"E_flame": {k: v for k, v in state.items() if k != "layers.2.bias"}}, r"another network: layers.2.bias do"),
        ({"E_flame": {**state, "layers.2.bias": torch.zeros(235)}}, r"another network: layers.2.bias do not fit"),
        (
            {"E_flame": {**state, "layers.2.bias": torch.zeros(236).half()}},
            r"another network: layers.2.bias do not fit",
        ),
        ({"E_flame": {**state, "more": torch.zeros(1)}}, r"another network: more do not fit"),
        ({"E_flame": ROOT}, r"damaged, or holds more than tensors"),
    ]
    for stored, message in cases:
        torch.save(stored, path)
        with pytest.raises(ValueError, match=message) as caught:
            load_released(deca.DecaEncoder, path, "E_flame")
        assert "\n" not in str(caught.value)
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="damaged"):
        load_released(deca.DecaEncoder, path, "E_flame")


@pytest.mark.parametrize("name", NAMES)
def test_as_a_metric_it_reads_codes_and_degrees_and_judges_no_residual(name, opened, clip, heads, tmp_path):
    head = HEADS[name]
    save_head(tmp_path / f"{head}.npz", heads[name].arrays)
    backend = {"deca": Deca, "deep3d": Deep3D}[name].open(Opening({head: tmp_path / f"{head}.npz"}, 0.5, CPU))
    (reading,) = (found := backend.observe(clip[0])).values()
    assert list(found) == [f"head_codes:{head}"]
    assert reading.shape == (5, NUM_EXPRESSION[name] + 3)
    assert (np.isfinite(reading).all(1) == [True, False, False, False, True]).all()
    rows = opened(name, max_residual=1e-6).fit_images(clip[0])
    angles_deg = np.rad2deg(heads[name].yaw_pitch_roll_rad(rows.fit.pose).numpy())
    np.testing.assert_array_equal(reading[:, :-3], rows.fit.expression.numpy())
    np.testing.assert_allclose(reading[:, -3:], angles_deg, rtol=1e-6)
    assert backend.weights_sha256 == opened(name).weights_sha256


def test_akd_reads_the_same_landmarks(clip):
    frames_u8, finder = clip
    reading = Fan(finder).observe(frames_u8)
    np.testing.assert_array_equal(reading["landmarks_px"], finder.faces.landmarks_px.reshape(5, 136))
    np.testing.assert_array_equal(reading["score"][:, 0], finder.faces.score)


def test_networks_that_measure_convolve_in_float32_on_cuda():
    before = torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic
    with full_precision(torch.device("cuda")):
        assert (torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic) == (False, True)
        assert torch.backends.cudnn.enabled
    with full_precision(CPU):
        assert (torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic) == before
