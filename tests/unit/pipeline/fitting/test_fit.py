"""The fit stage: landmark tables, trackers' rows, tables that account for every frame, errors against truth."""

import json
import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch

from model.heads.arrays import save_head
from model.heads.fit import HeadFit
from model.heads.head import HeadModel
from model.puppet_nets.tracker import Prediction
from pipeline.fitting.report import write_fit_report
from pipeline.fitting.run import FitWork, check_fail_rate, fit_clips
from pipeline.params.fitting import FitParams
from pipeline.params.tree import load_params
from pipeline.store.clips import ClipWriter, encode_frame
from pipeline.store.fits import FitTable, build_fits, fits_metadata
from pipeline.store.landmark_table import LandmarkTable
from pipeline.store.schema import INDEX, metadata_of, read_table, vector, write_table
from pipeline.trackers.landmarks import LandmarkTracker
from pipeline.trackers.protocol import ClipInfo, TrackerUnavailable, judge
from pipeline.trackers.puppet import PuppetNetTracker
from pipeline.work.ledger import TooManyFailures
from stages.fit import run
from tests.helpers import ROOT, random_head
from tests.videos import data_params, released, voxceleb1

CPU = torch.device("cpu")

SMALL = ROOT / "tests" / "data" / "small.yaml"

PARAMS = FitParams(
    tracker="landmarks",
    second_tracker="landmarks",
    min_score=0.5,
    max_residual=0.1,
    max_fail_rate=0.5,
    landmark_fit={
        "landmark_sigma": 0.01, "contour_weight": 0.5, "hidden_yaw_deg": 60, "huber_sigmas": 3, "shape_sigma": 10,
        "expression_sigma": 10, "joint_sigma_rad": 1, "identity_frames": 8, "identity_steps": 6, "frame_steps": 4,
    },
)  # fmt: skip
CROP = [2 / 300, 0.0, -1.4, 0.0, 2 / 200, -1.2]  # px 60..360 by 20..220: the box is squeezed
SIZE_WH = 400, 240
SPLITS = {"train": "train", "eval": "test"}


@pytest.fixture(scope="module")
def head() -> HeadModel:
    arrays = random_head(seed=3)
    return HeadModel(arrays)


def clip_fit(head: HeadModel, frames: int, seed: int) -> HeadFit:
    """Fits in the clip's frame: the head turns to the viewer's right, faster and faster."""
    g = torch.Generator().manual_seed(seed)
    pose = torch.zeros(frames, head.num_pose)
    pose[:, 1] = torch.linspace(0.1, 0.6, frames)
    shape = torch.randn(1, head.num_shape, generator=g).expand(frames, -1)
    expression = 0.5 * torch.randn(frames, head.num_expression, generator=g)
    camera = torch.tensor([[0.05, 0.2, -0.4]]).repeat(frames, 1)
    return HeadFit(shape, expression, pose, camera, torch.tensor([[1.0, 0, 0, 0, 1, 0]]).expand(frames, 6))


def to_source_px(points_ndc: np.ndarray) -> np.ndarray:
    scale, shift = np.array([CROP[0], CROP[4]]), np.array([CROP[2], CROP[5]])
    return (points_ndc - shift) / scale


def landmark_rows(video: str, frames: list[int], points_px: np.ndarray, score: float = 0.9) -> list[dict]:
    """Rows as a detector writes them: pixel centres at integers."""
    return [
        {"person_id": "p", "video_id": video, "frame": f, "score": score, "landmarks": (p - 0.5).ravel().tolist()}
        for f, p in zip(frames, points_px, strict=True)
    ]


def write_landmarks(path, rows: list[dict]) -> None:
    kinds = {"person_id": pa.string(), "video_id": pa.string(), "frame": pa.int32(), "score": pa.float32()}
    columns = {name: pa.array([row[name] for row in rows], kind) for name, kind in kinds.items()}
    columns["landmarks"] = pa.array([row["landmarks"] for row in rows], vector(136))
    write_table(path, pa.table(columns))


@pytest.fixture
def world(tmp_path, monkeypatch, head):
    """Two packed clips a split, their landmarks (frame 3 of each video has none) and their truth."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    rows, truth = [], []
    for folder, split in SPLITS.items():
        index = []
        with ClipWriter(tmp_path / "clips" / folder, "png", 1 << 20) as writer:
            for number, length in enumerate((4, 5)):
                video, numbers = f"{split}{number}", [10 + 2 * i for i in range(length)]
                images = [encode_frame(np.full((64, 64, 3), 10 * i, np.uint8), "png", 0) for i in range(length)]
                shard, batch = writer.add(number, images)
                index.append(
                    {"clip": f"p#{video}#000010#000020", "dataset": "set", "split": split, "person": "p",
                     "video": video, "start": 10, "end": 20, "fps": 25.0, "num_frames": length,
                     "source_width": SIZE_WH[0], "source_height": SIZE_WH[1], "crop_map": CROP,
                     "frame_index": numbers, "shard": shard, "batch": batch}
                )  # fmt: skip
                fit = clip_fit(head, length, seed=number)
                points_px = to_source_px(head.place_landmarks(fit).double().numpy())
                keep = [i for i in range(length) if i != 3]
                rows += landmark_rows(video, [numbers[i] for i in keep], points_px[keep])
                truth.append((video, numbers, fit, points_px))
        write_table(tmp_path / "clips" / folder / "index.parquet", pa.Table.from_pylist(index, schema=INDEX))
    write_landmarks(tmp_path / "set" / "landmarks.parquet", rows)
    save_head(tmp_path / "head.npz", head.arrays)
    return tmp_path, truth


def fitted(path, params=PARAMS, retry_failed=False):
    work = FitWork(workers=0, scheduler=None, clip_timeout_s=60, retry_failed=retry_failed)
    return fit_clips(params, path / "head.npz", path / "clips", {"set": path / "set"}, path / "fits", work, CPU)


def test_landmarks_are_shifted_to_edge_aligned_pixels(tmp_path):
    points = np.random.default_rng(0).uniform(0, 100, (2, 68, 2))
    write_landmarks(tmp_path / "l.parquet", landmark_rows("v", [4, 6], points))
    seen = LandmarkTable(tmp_path / "l.parquet").look("p", "v", [6, 5, 4])
    np.testing.assert_allclose(seen.landmarks_px[[2, 0]], points, atol=1e-5)
    assert seen.found.tolist() == [True, False, True]
    assert np.isnan(seen.score[1])
    assert not LandmarkTable(tmp_path / "l.parquet").look("q", "v", [4]).found.any()


def test_landmark_tables_that_will_not_do_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no landmarks at .*l.parquet.*landmarks"):
        LandmarkTable(tmp_path / "l.parquet")
    write_table(tmp_path / "l.parquet", pa.table({"frame": [1]}))
    with pytest.raises(ValueError, match=r"lacks the columns person_id, video_id, score, landmarks"):
        LandmarkTable(tmp_path / "l.parquet")
    write_landmarks(tmp_path / "l.parquet", landmark_rows("v", [4, 4], np.zeros((2, 68, 2))))
    with pytest.raises(ValueError, match="1 frames have more than one row"):
        LandmarkTable(tmp_path / "l.parquet")


def test_every_frame_has_a_row_that_places_the_head(world, head):
    path, truth = world
    assert fitted(path) == {"ok": 14, "no_landmarks": 4}
    table = read_table(path / "fits" / "eval.parquet")
    assert table.column("clip").to_pylist() == ["p#test0#000010#000020"] * 4 + ["p#test1#000010#000020"] * 5
    assert table.column("frame").to_pylist() == [*range(4), *range(5)]
    assert table.column("status").to_pylist() == ["ok"] * 3 + ["no_landmarks"] + ["ok"] * 3 + ["no_landmarks", "ok"]
    assert metadata_of(table)["tracker"] == "landmarks"
    fits = FitTable(table)
    fits.require_head(head, "eval.parquet")
    for clip, (_, _, fit, _) in zip(("p#test0#000010#000020", "p#test1#000010#000020"), truth[2:], strict=True):
        rows = [fits.row(clip, i) for i in (0, 1, 2)]
        expected = head.place_landmarks(fit)[:3]
        torch.testing.assert_close(head.place_landmarks(fits.head_fit(rows)), expected, atol=5e-3, rtol=0)
        np.testing.assert_allclose(fits.angles_deg(rows)[:, 0], np.rad2deg(fit.pose[:3, 1].numpy()), atol=3)
        seen = np.stack([table.column("landmarks").to_pylist()[row] for row in rows]).reshape(3, 68, 2)
        np.testing.assert_allclose(seen, expected.numpy(), atol=1e-4)  # what drives systems by landmarks
    missing = fits.row("p#test0#000010#000020", 3)
    assert np.isnan(table.column("yaw_deg").to_numpy()[missing])
    assert fits.head_fit([missing]).camera.isnan().all()
    np.testing.assert_allclose(table.column("crop_map").to_pylist()[0], CROP, rtol=1e-6)


def test_a_second_run_only_reads_what_the_first_made(world, monkeypatch):
    path, _ = world
    first = fitted(path)
    before = (path / "fits" / "train.parquet").read_bytes()
    calls = []
    monkeypatch.setattr(LandmarkTracker, "fit_clip", lambda tracker, frames, info: calls.append(info.clip))
    assert fitted(path) == first
    assert (path / "fits" / "train.parquet").read_bytes() == before
    assert calls == []
    fitted(path, PARAMS.model_copy(update={"max_residual": 0.2}))
    assert len(calls) == 4


def test_a_clip_whose_fitting_crashes_keeps_its_rows_and_is_fitted_again_when_asked(world, monkeypatch, capsys):
    path, _ = world
    whole = fitted(path)
    undisturbed = (path / "fits" / "train.parquet").read_bytes()
    shutil.rmtree(path / "data")
    fit = LandmarkTracker.fit_clip

    def short(self, frames, info):
        """Lose the first frame of one clip."""
        if info.video != "train0":
            return fit(self, frames, info)
        return fit(self, frames[1:], replace(info, frame_index=info.frame_index[1:]))

    with monkeypatch.context() as patch:
        patch.setattr(LandmarkTracker, "fit_clip", short)
        assert fitted(path) == {"ok": 11, "no_landmarks": 3, "crashed": 4}
    assert "p#train0#000010#000020: crashed: RuntimeError: 3 rows for the 4 frames" in capsys.readouterr().err
    table = read_table(path / "fits" / "train.parquet")
    assert table["frame"].to_pylist()[:4] == [0, 1, 2, 3]
    assert np.isnan(table["yaw_deg"].to_numpy()[:4]).all()
    assert fitted(path)["crashed"] == 4
    assert fitted(path, retry_failed=True) == whole
    assert (path / "fits" / "train.parquet").read_bytes() == undisturbed


def test_one_row_of_a_table_is_a_view_of_it(world):
    path, _ = world
    fitted(path)
    fits = FitTable.read(path / "fits" / "eval.parquet")
    one, same = (fits.one("p#test1#000010#000020", 2) for _ in range(2))
    assert one.pose.data_ptr() == same.pose.data_ptr()
    for name in ("shape", "expression", "pose", "camera", "tracker_map"):
        assert torch.equal(getattr(one, name), getattr(fits.head_fit([6]), name)), name
    for clip, frame in (("p#test1#000010#000020", 5), ("p#test1#000010#000020", -1), ("q", 0)):
        with pytest.raises(KeyError, match=f"no fit for frame {frame} of clip"):
            fits.one(clip, frame)


def test_too_many_bad_frames_end_the_stage():
    counts = Counter({"ok": 14, "no_landmarks": 4})
    check_fail_rate(counts, 0.25)
    with pytest.raises(TooManyFailures, match=r"4 of 18 frames have no good fit, mostly no_landmarks.*20%"):
        check_fail_rate(counts, 0.2)
    with pytest.raises(TooManyFailures, match="0 of 0"):
        check_fail_rate(Counter(), 1.0)


def test_rows_are_judged_by_score_residual_and_finiteness():
    score = np.array([0.9, 0.2, 0.9, 0.9], np.float32)
    residual = np.array([0.05, 0.05, 0.2, np.nan])
    assert judge(score, residual, PARAMS) == ["ok", "low_score", "high_residual", "diverged"]


def test_a_perspective_head_is_fitted_in_a_square_around_the_face(tmp_path):
    arrays = random_head(seed=3)
    count = len(arrays.template)
    arrays = replace(
        arrays, camera="deep3d_perspective", rotation="deep3d_euler", joint_names=np.array(["root"]),
        joint_parents=np.array([-1], np.int32), joint_regressor=arrays.joint_regressor[:1],
        skin_weights=np.ones((count, 1), np.float32),
    )  # fmt: skip
    head = HeadModel(arrays)
    fit = clip_fit(head, 4, seed=0)
    fit = fit.replace(camera=torch.tensor([[0.1, 0.2, -100.0]]).repeat(4, 1))
    fit = fit.replace(tracker_map=torch.tensor([[0.5, 0, 0.2, 0, 0.5, -0.3]]).repeat(4, 1))
    landmarks = head.place_landmarks(fit).double().numpy()
    write_landmarks(tmp_path / "landmarks.parquet", landmark_rows("v", [0, 1, 2, 3], to_source_px(landmarks)))
    tracker = LandmarkTracker.open(head, PARAMS, {"set": tmp_path}, CPU)
    rows = tracker.fit_clip(np.zeros((4, 64, 64, 3), np.uint8), ClipInfo("c", "set", "p", "v", [0, 1, 2, 3], CROP))
    assert rows.status == ["ok"] * 4
    np.testing.assert_allclose(rows.landmarks, landmarks, atol=1e-5)
    torch.testing.assert_close(head.place_landmarks(rows.fit).double(), torch.from_numpy(landmarks), atol=5e-3, rtol=0)
    low, high = landmarks.min(1), landmarks.max(1)
    maps = rows.fit.tracker_map.numpy()
    np.testing.assert_allclose(maps[:, 0], maps[:, 4])  # a square: nothing is squeezed
    np.testing.assert_allclose(maps[:, [2, 5]], (low + high) / 2, atol=1e-5)
    with pytest.raises(TrackerUnavailable, match="reads a table of real frames"):
        tracker.fit_images(np.zeros((1, 64, 64, 3), np.uint8))


def test_a_frame_of_low_score_does_not_spoil_the_others(tmp_path, head):
    fit = clip_fit(head, 4, seed=0)
    points_px = to_source_px(head.place_landmarks(fit).double().numpy())
    found = []
    for nonsense in (0.0, 80.0):
        rows = landmark_rows("v", [0, 1, 2, 3], points_px)
        rows[2] = landmark_rows(
            "v", [2], points_px[2:3] + nonsense * np.random.default_rng(0).normal(size=(68, 2)), 0.1
        )[0]
        write_landmarks(tmp_path / "landmarks.parquet", rows)
        tracker = LandmarkTracker.open(head, PARAMS, {"set": tmp_path}, CPU)
        found.append(
            tracker.fit_clip(np.zeros((4, 64, 64, 3), np.uint8), ClipInfo("c", "set", "p", "v", [0, 1, 2, 3], CROP))
        )
    assert found[1].status == ["ok", "ok", "low_score", "ok"]
    assert torch.equal(found[0].fit.shape[0], found[1].fit.shape[0])
    assert found[1].fit.shape[2].isnan().all()
    assert found[1].score[2] == np.float32(0.1)


class BrightnessNet:
    """Stands for the tracker's network: yaw is the image's brightness."""

    layouts = {"bumpy_sphere": None}
    weights_sha256 = "abc"

    def __init__(self, head: HeadModel) -> None:
        self.head = head

    def to(self, device: torch.device) -> "BrightnessNet":
        return self

    def predict(self, img: torch.Tensor, head_name: str) -> Prediction:
        assert img.shape[1] == 3
        assert head_name == "bumpy_sphere"
        fit = clip_fit(self.head, len(img), seed=0)
        fit.pose[:, 1] = img.mean((1, 2, 3))
        return Prediction(fit, self.head.place_landmarks(fit), torch.where(img.mean((1, 2, 3)) > 0.9, 0.1, 0.8))


def test_the_network_fits_every_image_in_order(head):
    tracker = PuppetNetTracker(head, PARAMS, BrightnessNet(head), CPU)
    levels = np.linspace(0, 255, 150).astype(np.uint8)
    rows = tracker.fit_images(np.broadcast_to(levels[:, None, None, None], (150, 8, 6, 3)).copy())
    np.testing.assert_allclose(rows.fit.pose[:, 1].numpy(), levels / 255, atol=1e-6)
    assert rows.status == ["low_score" if level > 0.9 * 255 else "ok" for level in levels]
    assert rows.residual.max() < 1e-3
    with pytest.raises(TrackerUnavailable, match=r"fits bumpy_sphere, not 'other'"):
        PuppetNetTracker(HeadModel(replace(head.arrays, name="other")), PARAMS, BrightnessNet(head), CPU)


def test_fits_of_another_kind_of_device_have_another_key(head):
    on_cpu, on_cuda, on_second = (
        PuppetNetTracker(head, PARAMS, BrightnessNet(head), torch.device(name)) for name in ("cpu", "cuda", "cuda:1")
    )
    assert on_cpu.fingerprint != on_cuda.fingerprint == on_second.fingerprint


def write_truth(path, head: HeadModel, truth, shift_px: tuple[float, float], yaw_rad: float = 0.0) -> None:
    """Truth in the video frame's ndc, off by a shift in source pixels and a turn."""
    size = np.array(SIZE_WH)
    clips, frames, fits, landmarks = [], [], [], []
    for video, numbers, fit, points_px in truth:
        clips += [video] * len(numbers)
        frames += numbers
        fits.append(fit.replace(pose=fit.pose + torch.eye(head.num_pose)[1] * yaw_rad))
        landmarks.append(2 * (points_px + shift_px) / size - 1)
    count = len(clips)
    table = build_fits(
        head, clip=clips, frame=frames, status=["ok"] * count, score=np.ones(count), residual=np.zeros(count),
        fit=HeadFit.cat(fits), crop_map=np.zeros((count, 6)), landmarks=np.concatenate(landmarks),
    )  # fmt: skip
    write_table(path / "set" / "truth" / f"{head.name}.parquet", table, fits_metadata(head, "truth", ""))


def test_errors_against_the_truth(world, head):
    path, truth = world
    fitted(path)
    folders = {"set": path / "set"}
    out = path / "report" / "head.json"
    without = write_fit_report(out, head, path / "fits", path / "clips", folders)
    assert without["noise_floor"] is None
    assert without["groups"][0]["errors"] is None
    write_truth(path, head, truth, shift_px=(15.0, 0.0), yaw_rad=0.2)
    report = write_fit_report(out, head, path / "fits", path / "clips", folders)
    assert report == json.loads(out.read_text())
    train, test = report["groups"]
    assert (train["split"], test["split"]) == ("train", "test")
    assert test["status"] == {"no_landmarks": 2, "ok": 7}
    assert test["errors"]["landmarks_px"] == pytest.approx(15 * 64 / 300, abs=1e-3)  # 300 source px are 64 px wide
    assert test["errors"]["yaw_deg"] == pytest.approx(np.rad2deg(0.2), abs=2)
    assert report["noise_floor"]["apd_deg"] == pytest.approx(test["errors"]["apd_deg"])
    assert report["noise_floor"]["aed"] == pytest.approx(test["errors"]["expression"])
    write_truth(path, head, truth, shift_px=(0.0, 15.0))
    report = write_fit_report(out, head, path / "fits", path / "clips", folders)
    assert report["groups"][1]["errors"]["landmarks_px"] == pytest.approx(15 * 64 / 200, abs=1e-3)
    assert report["groups"][1]["errors"]["yaw_deg"] < 2
    page = out.with_suffix(".md").read_text()
    assert "7 ok" in page
    assert "Noise floor" in page
    assert str(path) not in page + out.read_text()


def test_the_stage_writes_tables_and_report(world):
    path, _ = world

    shutil.copyfile(path / "head.npz", path / "puppet_face.npz")

    def stage(folder):
        data = data_params(path, voxceleb1(name="set", folder=folder), released(name="other", folder=folder))
        fit = PARAMS.model_copy(update={"tracker": "puppet_tracker"})  # of the other head
        params = load_params(SMALL).model_copy(update={"fit": fit, "data": data})
        places = (path / "puppet_face.npz", path / "clips", path / "fits", path / "fit.json")
        run(params, *places, workers=0, clip_timeout_s=60, retry="missing", device="cpu")

    stage("set")
    assert {p.name for p in path.glob("fits/*")} == {"train.parquet", "eval.parquet"}
    assert json.loads((path / "fit.json").read_text())["head"] == "bumpy_sphere"
    with pytest.raises(FileNotFoundError, match="no landmarks at"):
        stage(".")
