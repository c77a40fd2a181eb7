"""Predictions, readings and scoring on a benchmark of random frames."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest
from PIL import Image

from pipeline.bench.pair_frames import PairFrames, load_pair_frames
from pipeline.bench.predictions import PredictionsError, SavedFrames, write_predictions
from pipeline.bench.scoring import Scorer
from pipeline.bench.tasks import TASKS
from pipeline.controls.yardsticks import control_frames, copied
from pipeline.metrics.readings import Readings
from pipeline.store.clips import ClipStore, encode_frame, encode_png
from pipeline.store.schema import metadata_of, read_table
from pipeline.tools.import_frames import import_folder
from tests.benchmark_world import HEIGHT, PARAMS, WIDTH, FakeJudge, make_clips, make_measures, make_pairs
from tests.helpers import ROOT


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    make_clips(folder / "clips")
    make_pairs(folder / "pairs.parquet")
    return folder


@pytest.fixture(scope="module")
def pairs(world) -> PairFrames:
    return load_pair_frames(world / "pairs.parquet", world / "clips")[0]


def scorer_of(world: Path, folder: Path, batch_size: int = 4, judge: FakeJudge | None = None) -> Scorer:
    loaded, hashes = load_pair_frames(world / "pairs.parquet", world / "clips")
    return Scorer(loaded, hashes, make_measures(judge or FakeJudge()), Readings(folder, batch_size))


def values(folder: Path, metric: str, task: str = "same") -> np.ndarray:
    table = read_table(folder / "scores.parquet")
    keep = pc.and_(pc.equal(table["metric"], metric), pc.equal(table["task"], task))
    return table.filter(keep)["value"].to_numpy()


def test_pair_frames_hold_the_frames_that_the_list_names(world, pairs):
    store = ClipStore(world / "clips")
    for row in (0, 40, len(pairs) - 1):
        np.testing.assert_array_equal(
            pairs.driving_u8[row], store.frame(pairs.driving_clip[row], int(pairs.driving_frame[row]))
        )
    assert pairs.size_hw == (HEIGHT, WIDTH)
    rows = np.array([5, 0, 5])
    assert (pairs.select(rows).source_u8[:] == pairs.source_u8[rows]).all()
    sides = (pairs.source_clip, pairs.source_frame), (pairs.driving_clip, pairs.driving_frame)
    assert len({name for side in sides for name in zip(*side, strict=True)}) == len(pairs.frames) < 2 * len(pairs)


def test_ground_truth_is_perfect_and_copy_source_is_not(world, pairs, tmp_path):
    scorer = scorer_of(world, tmp_path / "scratch")
    for control in ("ground_truth", "copy_source"):
        chosen = pairs.select(pairs.task == "same")
        scorer.save_and_score(control, ("same",), control_frames(control, chosen, PARAMS, world), tmp_path / control)
    perfect = {"csim[judge]": 1, "akd_px[judge,16x24]": 0, "aed[judge,two]": 0, "apd[judge,one]": 0,
               "l1[0-255]": 0, "ssim[gauss11]": 1}  # fmt: skip
    for metric, best in perfect.items():
        truth = values(tmp_path / "ground_truth", metric)
        assert len(truth) == 54
        np.testing.assert_allclose(truth, best, atol=1e-6)
        assert np.abs(values(tmp_path / "copy_source", metric) - best).mean() > 1e-2
    assert len(values(tmp_path / "ground_truth", "csim[judge]", "cross")) == 0


def test_cross_identity_is_compared_with_source_or_driving(world, pairs, tmp_path):
    scorer = scorer_of(world, tmp_path / "scratch")
    cross = pairs.select(pairs.task == "cross")
    for control in ("copy_source", "copy_driving"):
        scorer.save_and_score(control, ("cross",), control_frames(control, cross, PARAMS, world), tmp_path / control)
    np.testing.assert_allclose(values(tmp_path / "copy_source", "csim[judge]", "cross"), 1, atol=1e-6)
    np.testing.assert_allclose(values(tmp_path / "copy_driving", "aed[judge,one]", "cross"), 0, atol=1e-6)
    assert values(tmp_path / "copy_source", "aed[judge,one]", "cross").min() > 1e-3
    assert values(tmp_path / "copy_driving", "csim[judge]", "cross").max() < 0.9999
    features = read_table(tmp_path / "copy_source" / "features" / "fid.judge.parquet").to_pylist()
    by_role = {role: [f["features"] for f in features if f["role"] == role] for role in ("generated", "reference")}
    assert by_role["generated"] == by_role["reference"]


def test_scores_do_not_depend_on_the_batch_and_keep_failures(world, pairs, tmp_path):
    frames = pairs.driving_u8[:]
    frames[:, 3:9] = frames[:, 4:10]
    frames[2, 0, 0] = (255, 0, 0)
    tables = []
    for batch in (1, 7):
        out = tmp_path / str(batch)
        scorer_of(world, tmp_path / f"scratch{batch}", batch).save_and_score("m", TASKS, [encode_png(frames)], out)
        tables.append(read_table(out / "scores.parquet"))
    np.testing.assert_allclose(tables[0]["value"].to_numpy(), tables[1]["value"].to_numpy(), rtol=1e-4, atol=1e-5)
    failed = {(r["pair_id"], r["metric"]) for r in tables[0].to_pylist() if np.isnan(r["value"])}
    assert {pair for pair, _ in failed} == {pairs.pair_id[2]}
    assert "l1[0-255]" not in {metric for _, metric in failed}
    assert len(failed) == 7


def test_reference_images_are_looked_at_once(world, pairs, tmp_path):
    first, second = FakeJudge(), FakeJudge()
    scorer = scorer_of(world, tmp_path, judge=first)
    scorer.read_references()
    seen = first.images_seen
    unique = {frame.tobytes() for frame in [*pairs.source_u8, *pairs.driving_u8]}
    assert 0 < seen <= len(unique)
    scorer.save_and_score("copy", TASKS, copied(pairs.source_u8), tmp_path / "copy")
    again = scorer_of(world, tmp_path, judge=second)
    again.read_references()
    assert second.images_seen == 0
    other = FakeJudge("other weights")
    scorer_of(world, tmp_path, judge=other).read_references()
    assert other.images_seen == seen


class FailingJudge(FakeJudge):
    """Ends in an error once it has looked at some batches."""

    def __init__(self, batches: int) -> None:
        super().__init__("failing")
        self.batches = batches

    def observe(self, frames_u8: np.ndarray) -> dict[str, np.ndarray]:
        self.batches -= 1
        if self.batches < 0:
            raise RuntimeError("out of memory\nwhile looking")
        return super().observe(frames_u8)


@pytest.mark.parametrize(("references", "generated"), [(0, 0), (2, 0), (1000, 1)])
def test_a_backend_that_fails_is_a_reason_and_the_other_columns_are_scored(
    references, generated, world, pairs, tmp_path, capsys
):
    """At the first reference image, at a later one, and at the generated ones."""
    whole, out = tmp_path / "whole", tmp_path / "out"
    frames = encode_png(255 - pairs.driving_u8[:])
    scorer_of(world, tmp_path / "a").save_and_score("mine", ("same", "cross"), [frames], whole)
    judge = FailingJudge(references)
    scorer = scorer_of(world, tmp_path / "b", judge=judge)
    scorer.read_references()
    judge.batches = generated
    scorer.save_and_score("mine", ("same", "cross"), [frames], out)
    for metric in ("l1[0-255]", "ssim[gauss11]", "psnr[db]"):
        np.testing.assert_array_equal(values(out, metric), values(whole, metric))
    table = read_table(out / "scores.parquet")
    assert set(table["metric"].to_pylist()) == {"l1[0-255]", "ssim[gauss11]", "psnr[db]"}
    assert not list((out / "features").glob("*"))
    reasons = {m["id"]: m["reason"] for m in json.loads(metadata_of(table)["measures"])}
    failed = {name for name, reason in reasons.items() if reason.startswith("judge cannot run (RuntimeError: out of")}
    assert failed == {name for name in reasons if "[judge" in name}
    assert len(failed) == 11
    assert "no number for " in capsys.readouterr().err


def test_a_comparison_that_fails_is_a_reason_too(world, pairs, tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.metrics.csim.CosineSimilarity.compare", lambda *_: 1 / 0)
    generated = encode_png(255 - pairs.select(pairs.task == "same").driving_u8[:])
    scorer_of(world, tmp_path / "a").save_and_score("mine", ("same",), [generated], tmp_path / "out")
    measures = json.loads(metadata_of(read_table(tmp_path / "out" / "scores.parquet"))["measures"])
    failed = {m["name"] for m in measures if "ZeroDivisionError" in m["reason"]}
    assert failed == {"fid", "csim", "akd", "aed", "apd", "kid", "csim_driver", "nme", "yaw_gap"}
    assert len(values(tmp_path / "out", "l1[0-255]")) == len(generated)


def test_reading_tables_leaves_pandas_alone(world):
    code = (
        "import sys; from pathlib import Path; from pipeline.store.schema import PAIRS, read_table\n"
        f"table = read_table(Path({str(world / 'pairs.parquet')!r}), PAIRS)\n"
        "print(len(table), 'pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(len(read_table(world / "pairs.parquet"))), "False"]


def test_some_columns_of_a_table_come_in_the_order_asked_for(world):
    names = ["task", "pair_id"]
    assert read_table(world / "pairs.parquet", columns=names).column_names == names
    with pytest.raises(ValueError, match="lacks the columns nothing"):
        read_table(world / "pairs.parquet", columns=["task", "nothing"])


def test_predictions_are_lossless_and_byte_stable(pairs, tmp_path):
    ids = pairs.pair_id.tolist()
    for name in ("a.arrow", "b.arrow"):
        write_predictions(tmp_path / name, ids, copied(pairs.source_u8))
    assert (tmp_path / "a.arrow").read_bytes() == (tmp_path / "b.arrow").read_bytes()
    backwards = SavedFrames(tmp_path / "a.arrow", ids[::-1], pairs.size_hw)
    np.testing.assert_array_equal(backwards[np.arange(len(ids))], pairs.source_u8[::-1])
    with pytest.raises(PredictionsError, match="1 have no prediction: stranger"):
        SavedFrames(tmp_path / "a.arrow", ["stranger"], pairs.size_hw)


def test_a_folder_of_images_imports_into_the_same_form(world, pairs, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for name, frame in zip(pairs.pair_id, pairs.driving_u8, strict=True):
        Image.fromarray(frame).save(folder / f"{name}.png")
    out = tmp_path / "mine" / "predictions.arrow"

    def bring() -> Path:
        return import_folder(folder, world / "pairs.parquet", world / "clips", out)

    brought = SavedFrames(bring(), pairs.pair_id.tolist(), pairs.size_hw)
    np.testing.assert_array_equal(brought[np.arange(len(pairs))], pairs.driving_u8[:])
    scorer_of(world, tmp_path / "scratch").score_saved("mine", ("same", "cross"), out.parent)
    np.testing.assert_allclose(values(out.parent, "l1[0-255]"), 0)

    victim = folder / f"{pairs.pair_id[0]}.png"
    Image.fromarray(np.zeros((WIDTH, HEIGHT, 3), np.uint8)).save(victim)
    with pytest.raises(PredictionsError, match=r"1 are not 16x24 .*\(24x16\)"):
        bring()
    Image.fromarray(np.zeros((HEIGHT, WIDTH, 4), np.uint8)).save(victim)
    with pytest.raises(PredictionsError, match=rf"1 cannot be read: {victim.name} has transparent pixels"):
        bring()
    victim.write_bytes(b"no image")
    with pytest.raises(PredictionsError, match="1 cannot be read"):
        bring()
    victim.rename(folder / "nobody.png")
    with pytest.raises(PredictionsError, match=f"1 have no image: {pairs.pair_id[0]}"):
        bring()
    Image.fromarray(pairs.driving_u8[0]).save(victim)
    with pytest.raises(PredictionsError, match="1 are images of no pair: nobody"):
        bring()
    with pytest.raises(NotADirectoryError):
        import_folder(folder / "absent", world / "pairs.parquet", world / "clips", out)


def test_predictions_of_another_size_are_refused(world, pairs, tmp_path):
    write_predictions(tmp_path / "predictions.arrow", pairs.pair_id.tolist(), [encode_png(pairs.source_u8[:][:, :12])])
    with pytest.raises(PredictionsError, match=r"108 are not 16x24 \(height x width\): first.same.000 \(12x24\)"):
        scorer_of(world, tmp_path / "scratch").score_saved("m", ("same", "cross"), tmp_path)


def test_predictions_that_are_no_png_are_refused(pairs, tmp_path):
    ids = pairs.pair_id.tolist()
    jpeg = encode_frame(pairs.source_u8[0], "jpeg", 95)
    write_predictions(tmp_path / "p.arrow", ids, [[jpeg], encode_png(pairs.source_u8[1:])])
    with pytest.raises(PredictionsError, match=f"1 are no PNG: {ids[0]}"):
        SavedFrames(tmp_path / "p.arrow", ids, pairs.size_hw)


def test_a_method_that_makes_too_few_frames_leaves_no_file(pairs, tmp_path):
    with pytest.raises(ValueError, match="107 frames were made for 108 pairs"):
        write_predictions(tmp_path / "p.arrow", pairs.pair_id.tolist(), copied(pairs.select(slice(107)).source_u8))
    assert list(tmp_path.iterdir()) == []
