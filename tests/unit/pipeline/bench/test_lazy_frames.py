"""Images are decoded when they are looked at and held by nobody: memory does not follow the number of pairs."""

import tracemalloc

import numpy as np
import pyarrow as pa
import pytest
import torch

import stages.figures
from pipeline.bench.pair_frames import load_pair_frames
from pipeline.bench.scoring import Scorer
from pipeline.bench.tasks import CONTROL_TASKS
from pipeline.controls.yardsticks import control_frames
from pipeline.metrics.images import Images, image_key
from pipeline.metrics.readings import Readings
from pipeline.report.figures import chosen_pairs
from pipeline.store.clips import ClipStore, ClipWriter, encode_png
from pipeline.store.frames import HeldFrames
from pipeline.store.schema import INDEX, PAIRS, read_table, write_table
from tests.benchmark_world import PARAMS, make_clips, make_measures, make_pairs

SIZE = 96  # pixels a side: 27 kB an image
CLIPS, FRAMES = 60, 20


class Eye:
    """Reads the mean colours of an image and of its upper half."""

    name, fingerprint, weights_sha256 = "judge", "eye", ""

    def observe(self, frames_u8: np.ndarray) -> dict[str, np.ndarray]:
        parts = frames_u8, frames_u8[:, : SIZE // 2]
        means = np.concatenate([part.mean((1, 2), dtype=np.float64).astype(np.float32) for part in parts], 1)
        return {name: means for name in ("pooled", "embedding", "landmarks_px", "head_codes:one", "head_codes:two")}


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """1200 different frames, and as many pairs of them."""
    folder = tmp_path_factory.mktemp("many")
    rng = np.random.default_rng(0)
    rows, pairs = [], []
    with ClipWriter(folder / "clips", "png", 1 << 24) as writer:
        for number in range(CLIPS):
            colours = rng.integers(0, 256, (FRAMES, 2, 2, 3), dtype=np.uint8)
            frames = colours.repeat(SIZE // 2, 1).repeat(SIZE // 2, 2)
            shard, batch = writer.add(number, encode_png(frames))
            place = {"clip": f"c{number:03d}", "person": f"p{number:03d}", "video": f"v{number}", "num_frames": FRAMES}
            rows.append(dict.fromkeys(INDEX.names) | place | {"shard": shard, "batch": batch})
    for number in range(CLIPS * FRAMES):
        source, other = f"{number // FRAMES:03d}", f"{(number // FRAMES + number % 2) % CLIPS:03d}"
        pairs.append(
            {"pair_id": f"{number:05d}", "dataset": "d", "task": "same" if source == other else "cross",
             "source_clip": f"c{source}", "source_frame": number % FRAMES, "driving_clip": f"c{other}",
             "driving_frame": (number + 1) % FRAMES, "source_person": f"p{source}", "driving_person": f"p{other}"}
        )  # fmt: skip
    write_table(folder / "clips" / "index.parquet", pa.Table.from_pylist(rows, schema=INDEX))
    write_table(folder / "pairs.parquet", pa.Table.from_pylist(pairs, schema=PAIRS))
    return folder


def test_scoring_holds_a_small_share_of_the_images(many, tmp_path, monkeypatch):
    monkeypatch.setattr(HeldFrames.__init__, "__defaults__", (1 << 20,))  # the list is short for what may be held
    measures = [m for m in make_measures(Eye()) if m.metric.name not in ("ssim", "nme")]
    tracemalloc.start()
    pairs, hashes = load_pair_frames(many / "pairs.parquet", many / "clips")
    scorer = Scorer(pairs, hashes, measures, Readings(tmp_path / "scratch", 16))
    scorer.read_references()
    for control in ("copy_source", "ground_truth", "copy_driving"):
        tasks = CONTROL_TASKS[control]
        frames = control_frames(control, scorer.pairs_of(tasks), PARAMS, many / "clips")
        scorer.save_and_score(control, tasks, frames, tmp_path / control)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    decoded = len(pairs) * SIZE * SIZE * 3
    assert decoded > 32e6
    assert peak < decoded / 2
    assert read_table(tmp_path / "ground_truth" / "scores.parquet").num_rows == 600 * 9
    assert len(read_table(tmp_path / "copy_source" / "features" / "fid.judge.parquet")) == 2 * 1200


def test_readings_of_a_method_are_let_go_and_those_of_references_stay(many, tmp_path):
    pairs, hashes = load_pair_frames(many / "pairs.parquet", many / "clips")
    readings = Readings(tmp_path / "scratch", 16)
    measures = [m for m in make_measures(Eye()) if m.metric.name != "nme"]  # three points have no eyes
    scorer = Scorer(pairs, hashes, measures, readings)
    scorer.read_references()
    before = set(readings._known["eye"])
    assert before <= set(scorer.references.names)
    darker = [encode_png(pairs.source_u8[start : start + 100] // 2) for start in range(0, len(pairs), 100)]
    scorer.save_and_score("darker", ("same", "cross"), darker, tmp_path / "darker")
    assert set(readings._known["eye"]) == before


def test_a_frame_of_several_pairs_is_named_and_decoded_once(tmp_path, monkeypatch):
    make_clips(tmp_path / "clips")
    make_pairs(tmp_path / "pairs.parquet")
    pairs, _ = load_pair_frames(tmp_path / "pairs.parquet", tmp_path / "clips")
    asked, frame = [], ClipStore.frame
    monkeypatch.setattr(ClipStore, "frame", lambda store, *name: asked.append(name) or frame(store, *name))
    named = Images.of(pairs.frames)
    assert len(asked) == len(set(asked)) == len(pairs.frames)
    both = named.of_rows(pairs.source_row).joined([named.of_rows(pairs.driving_row)])
    assert both.keys == [image_key(image) for image in [*pairs.source_u8, *pairs.driving_u8]]
    np.testing.assert_array_equal(both[np.array([3, -1])].decoded(slice(None)), both.decoded(np.array([3, -1])))


def test_figures_decode_only_the_pairs_that_they_show(tmp_path, monkeypatch):
    make_clips(tmp_path / "clips")
    make_pairs(tmp_path / "pairs.parquet")
    asked, shown, frame = [], [], ClipStore.frame
    monkeypatch.setattr(ClipStore, "frame", lambda store, *name: asked.append(name) or frame(store, *name))
    monkeypatch.setattr("pipeline.bench.generate.PairRunner", lambda *given: shown.append(given))
    monkeypatch.setattr("pipeline.methods.runner.Files", lambda *given: given)
    monkeypatch.setattr("pipeline.report.figures.pwm_sheet", lambda row, runner, pairs, *_: pairs.source_u8[:])
    monkeypatch.setattr("pipeline.report.figures.loss_curves", lambda *_: None)
    folders = {name: tmp_path for name in ("heads", "fits_dir", "models", "results", "out")}
    files = {"clips": tmp_path / "clips", "pairs": tmp_path / "pairs.parquet"}
    stages.figures.run(PARAMS, **folders, **files, device="cpu")
    pairs, _ = load_pair_frames(tmp_path / "pairs.parquet", tmp_path / "clips")
    chosen = pairs.select(chosen_pairs(pairs, PARAMS.report.sheet_pairs))
    assert len(chosen) == 8
    assert {clip for clip, _ in asked} <= chosen.clips | {min(pairs.clips)}
    assert [(given[1], given[2]) for given in shown] == [(chosen.clips, torch.device("cpu"))] * 5


def test_a_frame_that_its_clip_does_not_have_is_named(tmp_path):
    make_clips(tmp_path / "clips")
    make_pairs(tmp_path / "pairs.parquet")
    table = read_table(tmp_path / "pairs.parquet")
    rows = table.to_pylist()
    rows[0]["driving_frame"] = 4
    write_table(tmp_path / "pairs.parquet", pa.Table.from_pylist(rows, schema=PAIRS))
    with pytest.raises(ValueError, match=r"names 1 frames that are not in .*, e\.g\. frame 4 of first0#v#0#4"):
        load_pair_frames(tmp_path / "pairs.parquet", tmp_path / "clips")
