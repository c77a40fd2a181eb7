"""The study of seeds: what it compares, and what its page and the footers say of it."""

import json
import statistics
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks import seeds
from pipeline.bench.pair_frames import load_pair_frames
from pipeline.bench.scoring import Scorer
from pipeline.metrics.readings import Readings
from pipeline.report.footer.training import made_by, study_file, training_line
from pipeline.store.clips import encode_png
from tests.benchmark_world import BENCH, PARAMS, REPORT, FakeJudge, make_clips, make_measures, make_pairs

ROWS = ("tiny.one.nmfc", "tiny.one.geom_disp")
SHIFTS = {"tiny.one.nmfc": (0, 0, 0), "tiny.one.geom_disp": (0, 10, 30)}


@pytest.fixture(scope="module")
def settings():
    return SimpleNamespace(**{**vars(PARAMS), "bench": BENCH, "report": REPORT})


@pytest.fixture(scope="module")
def cells(settings, tmp_path_factory):
    """A study of two rows, of which one's seeds do not differ; training is left out, frames are pairs made brighter."""
    data, work = (tmp_path_factory.mktemp(name) for name in ("data", "work"))
    make_clips(data / "clips" / "eval")
    make_pairs(data / "pairs.parquet")
    pairs, hashes = load_pair_frames(data / "pairs.parquet", data / "clips" / "eval")
    scorer = Scorer(pairs, hashes, make_measures(FakeJudge()), Readings(data / "scratch", 16))
    trained = []

    def evaluate(_, method, inputs, models, fits, out, device):
        assert (inputs.pairs, fits) == (data / "pairs.parquet", data / "fits")
        for seed, shift in enumerate(SHIFTS[method]):
            half = 0.5 * pairs.driving_u8[:] + 0.5 * pairs.source_u8[:] + shift
            frames = encode_png(half.clip(0, 255).round().astype(np.uint8))
            scorer.save_and_score(method, ("same", "cross"), [frames], out / f"seeds/{seed}" if seed else out)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seeds, "train_seeds", lambda *job: trained.append((job[0], job[-1])))
        patch.setattr(seeds, "evaluate_row", evaluate)
        found = seeds.study(settings, ROWS, 3, data, work, torch.device("cpu"))
    assert trained == [(row, 3) for row in ROWS]
    return found


def of(cells, row: str, metric: str) -> dict:
    return next(c for c in cells if (c["row"], c["metric"], c["dataset"], c["task"]) == (row, metric, "first", "same"))


def test_each_cell_has_its_spread_beside_its_interval(cells):
    apart, alike = (of(cells, row, "l1[0-255]") for row in reversed(ROWS))
    assert apart["mean"] == pytest.approx(statistics.mean(apart["of_seeds"]))
    assert apart["seed_sd"] == pytest.approx(statistics.stdev(apart["of_seeds"]))
    assert apart["sd_over_half_interval"] == pytest.approx(apart["seed_sd"] / apart["half_interval_of_one"])
    assert apart["widening"] == pytest.approx(apart["half_interval_of_all"] / apart["half_interval_of_one"])
    assert apart["widening"] > 1.5
    assert (alike["seed_sd"], alike["sd_over_half_interval"], alike["widening"]) == pytest.approx((0, 0, 1))
    assert of(cells, ROWS[1], "fid[judge]")["seed_sd"] > 0
    assert {c["task"] for c in cells} == {"same", "cross"}


def test_the_page_and_the_footer_say_what_was_found(cells, settings, tmp_path):
    report = json.loads(json.dumps(seeds.report_of(settings, ROWS, 3, cells)))
    ratios = [c["sd_over_half_interval"] for c in cells if c["sd_over_half_interval"] is not None]
    assert report["sd_over_half_interval"]["most"] == max(ratios)
    assert {"commit", "processor", "versions", "command"} <= set(report)
    text = seeds.page(report)
    assert text.count("\n| ") == len(cells) + 2
    assert "python -m benchmarks.seeds --rows tiny.one.nmfc tiny.one.geom_disp --seeds 3" in text
    study_file(tmp_path, "toy").write_text(json.dumps(report))
    line = training_line(1, tmp_path, "toy", made_by(settings.recipes, settings.networks))
    assert f"is 0.00 to {max(ratios):.2f} of half its interval" in line
    assert line.split("A study of")[1] in text


def test_a_row_that_cannot_be_is_refused_before_anything_is_trained(settings, tmp_path):
    where = (3, tmp_path, tmp_path, torch.device("cpu"))
    with pytest.raises(ValueError, match="there is no recipe 'other'; recipes has tiny"):
        seeds.study(settings, ("tiny.one.nmfc", "other.one.nmfc"), *where)
    with pytest.raises(ValueError, match=r"is not of the form recipe\.head\.guidance"):
        seeds.study(settings, ("nmfc", "tiny.one.nmfc"), *where)
    with pytest.raises(ValueError, match=r"no cell has an interval: report\.min_people is 8"):
        seeds.report_of(settings, ROWS, 3, [])
