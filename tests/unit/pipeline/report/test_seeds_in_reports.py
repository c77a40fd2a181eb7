"""What reports say of training again: means over seeds, their spread, and the study that footers quote."""

import csv
import io
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.bench.pair_frames import load_pair_frames
from pipeline.bench.scoring import Scorer
from pipeline.metrics.readings import Readings
from pipeline.report.footer.training import made_by, study_file
from pipeline.report.headline import headline_metrics
from pipeline.report.results import Pairs
from pipeline.report.rows import paper_rows, pwm_rows, row_named
from pipeline.store.clips import encode_png
from pipeline.store.provenance import write_json
from pipeline.store.schema import read_table
from tests.benchmark_world import BENCH, MODEL, PARAMS, FakeJudge, make_measures
from tests.report_world import differences, report, report_into, scores


def with_seeds(world: Path, folder: Path, shifts=(0, 9, 25)) -> Path:
    """The world with further seeds of every PWM row, whose L1 and FID are others."""
    shutil.copytree(world, folder)
    pairs, hashes = load_pair_frames(folder / "pairs.parquet", folder / "clips")
    scorer = Scorer(pairs, hashes, make_measures(FakeJudge()), Readings(folder / "scratch", 16))
    for number, row in enumerate(paper_rows(BENCH)):
        for seed, shift in enumerate(shifts[1:], start=1):
            mix = 0.2 * number * pairs.driving_u8[:] + (1 - 0.2 * number) * pairs.source_u8[:]
            frames = encode_png(np.clip(mix + shift, 0, 255).round().astype(np.uint8))
            out = folder / "results" / row.results / "seeds" / str(seed)
            scorer.save_and_score(row.key, row.tasks, [frames], out)
    return folder


@pytest.fixture(scope="module")
def seeds(world, tmp_path_factory) -> Path:
    folder = with_seeds(world, tmp_path_factory.mktemp("seeds") / "world")
    report(folder)
    return folder


def test_cells_are_means_over_seeds_with_their_spread(world, seeds):
    one, all_of_them, row = scores(world), scores(seeds), "PWM + geom. disp."
    key, found = ("second", "same", row, "l1[0-255]"), []
    for part in ("", "seeds/1", "seeds/2"):
        table = read_table(seeds / "results/tiny.one.geom_disp" / part / "scores.parquet").to_pylist()
        here = [r["value"] for r in table if (r["dataset"], r["task"], r["metric"]) == ("second", "same", "l1[0-255]")]
        found.append(np.mean(here))
    cell = all_of_them[key]
    assert float(cell["value"]) == pytest.approx(np.mean(found), rel=1e-5)
    assert float(cell["seed_sd"]) == pytest.approx(np.std(found, ddof=1), rel=1e-5)
    assert (cell["n_seeds"], cell["n"]) == ("3", "27")
    widths = [float(x["ci_high"]) - float(x["ci_low"]) for x in (one[key], cell)]
    assert widths[1] > 2 * widths[0]
    fid = all_of_them["second", "same", row, "fid[judge]"]
    assert float(fid["seed_sd"]) > 0
    assert {x["n_seeds"] for x in one.values()} == {"1"}
    assert {x["seed_sd"] for x in one.values()} == {""}
    controls = [key for key in one if key[2] in ("copy source", "copy driving", "ground truth")]
    assert controls
    assert all(one[key] == all_of_them[key] for key in controls)


def test_differences_and_headline_hold_the_seeds_too(world, seeds):
    def line(folder: Path) -> dict[str, str]:
        wanted = ("second", "same", "PWM + geom. disp.", "PWM + NMFC", "l1[0-255]")
        keys = ("dataset", "task", "method", "reference", "metric")
        return next(x for x in differences(folder / "out") if tuple(x[k] for k in keys) == wanted)

    before, after = line(world), line(seeds)
    assert (before["n_seeds"], before["seed_sd"], after["n_seeds"]) == ("1", "", "3")
    assert float(after["seed_sd"]) > 0
    assert float(after["p"]) > float(before["p"])
    cells, row = scores(seeds), row_named("tiny.one.neural_codes", pwm_rows(BENCH, MODEL))
    metrics = headline_metrics(row, seeds / "results", Pairs(seeds / "pairs.parquet"), "two")
    for name, metric in (("fid", "fid[judge]"), ("l1", "l1[0-255]")):
        cell = cells["first", "same", "PWM + neural codes", metric]
        assert metrics["first"]["same"][name] == pytest.approx(float(cell["value"]), rel=1e-5)


def test_rows_of_different_numbers_of_seeds_are_refused(seeds, tmp_path):
    shutil.copytree(seeds / "results", tmp_path / "results")
    shutil.rmtree(tmp_path / "results" / "tiny.one.nmfc" / "seeds" / "2")
    with pytest.raises(ValueError, match=r"different numbers of seeds \(tiny.one.nmfc 2, tiny.one.geom_disp 3, "):
        report_into(tmp_path, seeds, results=tmp_path / "results", pairs=seeds / "pairs.parquet")
    (tmp_path / "results" / "tiny.one.nmfc" / "seeds" / "old").mkdir()
    with pytest.raises(ValueError, match="holds 'old', which is no seed"):
        report_into(tmp_path, seeds, results=tmp_path / "results", pairs=seeds / "pairs.parquet")


def test_a_seed_that_was_not_measured_is_a_dash(seeds, tmp_path):
    shutil.copytree(seeds / "results", tmp_path / "results")
    (tmp_path / "results" / "tiny.one.nmfc" / "seeds" / "2" / "features" / "fid.judge.parquet").unlink()
    report_into(tmp_path, seeds, results=tmp_path / "results", pairs=seeds / "pairs.parquet")
    lines = list(csv.DictReader(io.StringIO((tmp_path / "tables/scores.csv").read_text())))
    dash = next(x for x in lines if (x["method"], x["metric"]) == ("PWM + NMFC", "fid[judge]"))
    assert dash["value"] == ""
    assert "seeds/2 has no features of fid[judge]" in dash["reason"]


def study(**other: object) -> dict[str, object]:
    found = {"least": 0.41, "median": 0.9, "most": 2.13, "cells": 40}
    return {
        "seeds": 5, "rows": ["tiny.one.nmfc", "tiny.one.geom_disp"], "commit": "0123456789abcdef", "profile": "toy",
        "recipes": made_by(PARAMS.recipes, PARAMS.networks), "sd_over_half_interval": found, **other,
    }  # fmt: skip


def training_lines(folder: Path, out: str) -> str:
    text = (report(folder, out) / "tables" / "table2.md").read_text()
    (line,) = [line for line in text.splitlines() if "seed" in line]
    return line


def test_footer_quotes_the_study_of_the_profile(world, tmp_path):
    shutil.copytree(world, tmp_path / "world")
    file = study_file(tmp_path / "world" / "reference", "toy")
    write_json(study_file(tmp_path / "world" / "reference", "another"), study())
    assert "How much is not known for this profile" in training_lines(tmp_path / "world", "none")
    write_json(file, study())
    line = training_lines(tmp_path / "world", "quoted")
    assert "hold for these trained weights, not for training again" in line
    assert "A study of 5 seeds of 2 rows (seeds-toy.md in reports/reference, commit 0123456789ab): between" in line
    assert "is 0.41 to 2.13 of half its interval over people, median 0.90." in line
    recipe = PARAMS.recipes["tiny"]
    write_json(file, study(recipes=made_by({"tiny": recipe.of_seed(99)}, PARAMS.networks)))
    assert training_lines(tmp_path / "world", "of_seed") == line
    write_json(file, study(recipes=made_by({"tiny": recipe.model_copy(update={"iterations": 9})}, PARAMS.networks)))
    assert "0123456789ab, of recipe tiny as it was then)" in training_lines(tmp_path / "world", "of_other")


def test_footer_of_several_seeds_says_that_intervals_hold_them(seeds):
    line = training_lines(seeds, "again")
    assert "means over 3 seeds; their intervals include the variance of 3 trainings" in line
    assert "not for training again" not in line
