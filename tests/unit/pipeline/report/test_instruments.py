"""Several instruments of one metric: from params.yaml to tables that print the first and a scores.csv that has all."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest
import torch

from pipeline.bench.pair_frames import load_pair_frames
from pipeline.bench.scoring import Scorer
from pipeline.metrics.fid import frechet_distance
from pipeline.metrics.protocols import BackendUnavailable, Opening
from pipeline.metrics.readings import Readings
from pipeline.metrics.registry import BACKENDS, open_measures
from pipeline.params.reports import MetricParams
from pipeline.report.headline import headline_metrics
from pipeline.report.report import write_report
from pipeline.report.results import Pairs
from pipeline.report.rows import all_rows, paper_rows
from pipeline.store.clips import encode_png
from pipeline.store.schema import metadata_of, read_table, write_table
from tests.benchmark_world import BENCH, HEIGHT, MODEL, PARAMS, WIDTH, FakeJudge, make_clips, make_pairs
from tests.helpers import ROOT

ROWS = all_rows(BENCH, MODEL, has_truth=False)
NMFC, GEOM = paper_rows(BENCH)[:2]
PUT = "no weights; `pwm assets import`"
SETTINGS = {
    "fid": {"backend": ["inception", "puppet_judge"]},
    "csim": {"backend": ["arcface", "puppet_judge"]},
    "akd": {"backend": "fan"},
    "aed": {"backend": ["puppet_tracker", "deca"], "second_backend": ["deep3d", "puppet_tracker"]},
    "apd": {"backend": "puppet_tracker", "second_backend": "puppet_tracker"},
    "l1": {"backend": "pixels"},
    "ssim": {"backend": ["pixels"]},
    "lpips": {"backend": "lpips_alex"},
    "feature_distance": None,
}
COLUMNS = ["fid[inception]", "fid[puppet_judge]", "csim[arcface]", "csim[puppet_judge]", "akd_px[fan,16x24]",
           "aed[puppet_tracker,one]", "aed[deca,one]", "aed[deep3d,two]", "aed[puppet_tracker,two]",
           "apd[puppet_tracker,one]", "apd[puppet_tracker,two]", "l1[0-255]", "ssim[gauss11]",
           "lpips[lpips_alex]"]  # fmt: skip
FURTHER = ["psnr[db]", "ms_ssim[gauss11,5]", "kid[inception]", "kid[puppet_judge]", "nme_percent[fan]",
           *(f"akd_px[fan,16x24]|yaw gap {gap}" for gap in ("0-10", "10-25", "25+"))]  # fmt: skip


class StandIn(FakeJudge):
    """Reads what `FakeJudge` reads, with features of its own width and codes of its own scale."""

    name = "judge"
    width, scale = 3, 1.0
    opened: list[tuple[str, list[str]]] = []

    @classmethod
    def open(cls, opening: Opening) -> "StandIn":
        cls.opened.append((cls.name, sorted(opening.heads)))
        return cls(cls.name)

    def observe(self, frames_u8: np.ndarray) -> dict[str, np.ndarray]:
        found = {name: read * np.float32(self.scale) for name, read in super().observe(frames_u8).items()}
        return {**found, "pooled": found["landmarks_px"][:, : self.width]}


class Wide(StandIn):
    name, width = "wide", 9


class Tracker(StandIn):
    name = "tracker"


class Doubled(StandIn):
    name, scale = "doubled", 2.0


class Absent:
    @classmethod
    def open(cls, opening: Opening) -> "Absent":
        raise BackendUnavailable(PUT)


STAND_INS = {"inception": Wide, "puppet_judge": StandIn, "puppet_tracker": Tracker, "deep3d": Doubled,
             "arcface": Absent, "fan": Absent, "deca": Absent, "lpips_alex": Absent}  # fmt: skip


def scorer_of(folder: Path, stand_ins: dict[str, type]) -> Scorer:
    """A scorer with the columns of `SETTINGS`, in which stand-ins take the backends' places."""
    pairs, hashes = load_pair_frames(folder / "pairs.parquet", folder / "clips")
    opening = Opening({name: folder for name in ("one", "two")}, 0.5, torch.device("cpu"))
    with pytest.MonkeyPatch.context() as patch:
        for name, stand_in in stand_ins.items():
            patch.setitem(BACKENDS, name, f"{__name__}:{stand_in.__name__}")
        measures = open_measures(MetricParams.model_validate(SETTINGS), ("one", "two"), (HEIGHT, WIDTH), opening)
    return Scorer(pairs, hashes, measures, Readings(folder / "scratch", 16))


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """Two rows, measured by the instruments of `SETTINGS`; scores, tables and page."""
    folder = tmp_path_factory.mktemp("world")
    make_clips(folder / "clips")
    make_pairs(folder / "pairs.parquet")
    scorer = scorer_of(folder, STAND_INS)
    pairs = scorer.pairs
    for row, mix in ((NMFC, 0.2), (GEOM, 0.6)):
        frames = (mix * pairs.driving_u8[:] + (1 - mix) * pairs.source_u8[:]).round().astype(np.uint8)
        scorer.save_and_score(row.key, row.tasks, [encode_png(frames)], folder / "results" / row.results)
    report(folder)
    return folder


def report(folder: Path) -> None:
    write_report(
        PARAMS, ROWS, results=folder / "results", pairs=folder / "pairs.parquet",
        ledger=folder / "clips" / "ledger.parquet", paper=ROOT / "reports" / "paper.csv", reference=folder,
        fit_reports=folder,
        figures=folder / "none", costs=folder / "none", out=folder / "out",
    )  # fmt: skip


def lines_of(folder: Path, table: str) -> list[dict[str, str]]:
    with (folder / "out" / "tables" / table).open(newline="") as stream:
        return list(csv.DictReader(stream))


def cells_of(folder: Path) -> dict[tuple[str, str, str, str], dict[str, str]]:
    return {(x["dataset"], x["task"], x["method"], x["metric"]): x for x in lines_of(folder, "scores.csv")}


@pytest.fixture
def copied(world, tmp_path) -> Path:
    return Path(shutil.copytree(world, tmp_path / "copy"))


def test_an_instrument_is_opened_once_for_all_its_columns_and_heads(world):
    StandIn.opened.clear()
    scorer_of(world, STAND_INS)
    assert sorted(StandIn.opened) == [("doubled", ["two"]), ("judge", []), ("tracker", ["one", "two"]), ("wide", [])]


def test_scores_csv_has_every_column_in_the_order_of_params(world):
    lines = [x for x in lines_of(world, "scores.csv") if (x["dataset"], x["method"]) == ("first", NMFC.label)]
    assert [x["metric"] for x in lines if x["task"] == "same"] == COLUMNS + FURTHER
    backends = {x["metric"]: x["backend"] for x in lines}
    assert (backends["fid[inception]"], backends["fid[puppet_judge]"]) == ("inception", "puppet_judge")


def test_each_instrument_gives_its_own_number(world):
    cells = cells_of(world)
    pairs, _ = load_pair_frames(world / "pairs.parquet", world / "clips")
    chosen = (pairs.dataset == "second") & (pairs.task == "same")
    target = pairs.driving_u8[chosen]
    made = (0.6 * target + (1 - 0.6) * pairs.source_u8[chosen]).round().astype(np.uint8)
    for column, instrument in (("fid[inception]", Wide("w")), ("fid[puppet_judge]", StandIn("j"))):
        wanted = frechet_distance(*(instrument.observe(images)["pooled"] for images in (made, target)))
        assert float(cells["second", "same", GEOM.label, column]["value"]) == pytest.approx(wanted, rel=1e-4)
    single, doubled = (cells["second", "same", GEOM.label, f"aed[{name},two]"] for name in ("puppet_tracker", "deep3d"))
    assert float(doubled["value"]) == pytest.approx(2 * float(single["value"]), rel=1e-4)
    assert float(doubled["ci_high"]) == pytest.approx(2 * float(single["ci_high"]), rel=1e-4)


def test_one_that_cannot_run_is_a_dash_with_its_reason_and_the_other_scores(world):
    cells = cells_of(world)
    for absent, present in (("csim[arcface]", "csim[puppet_judge]"), ("aed[deca,one]", "aed[puppet_tracker,one]")):
        dash, cell = (cells["first", "cross", GEOM.label, column] for column in (absent, present))
        assert (dash["value"], dash["n"], dash["reason"]) == ("", "0", PUT)
        assert (cell["n"], cell["reason"]) == ("27", "")
        assert float(cell["value"]) > 0


def test_tables_and_metrics_json_have_the_first_alone(world):
    tables = [list(lines_of(world, f"table{n}.csv")[0])[4:] for n in (1, 2, 3)]
    assert tables[0] == [f"same {COLUMNS[n]}" for n in (0, 2, 4, 5, 9)] + [f"cross {COLUMNS[n]}" for n in (0, 2, 5, 9)]
    assert tables[2] == [f"{task} {COLUMNS[n]}" for task in ("same", "cross") for n in (5, 9, 7, 10)]
    page = (world / "out" / "index.html").read_text()
    assert page.count('title="fid[inception]"') == page.count('title="csim[arcface]"') > 0
    assert 'title="fid[puppet_judge]"' not in page
    metrics = headline_metrics(GEOM, world / "results", Pairs(world / "pairs.parquet"), "two")["first"]["same"]
    cells = cells_of(world)
    for name, column in (("fid", "fid[inception]"), ("aed", "aed[puppet_tracker,one]"), ("aed_two", "aed[deep3d,two]")):
        assert metrics[name] == pytest.approx(float(cells["first", "same", GEOM.label, column]["value"]), rel=1e-5)
    assert metrics["csim"] is None


def test_the_footer_names_the_further_instruments_of_its_table(world):
    one, two, three = ((world / "out" / "tables" / f"table{n}.md").read_text() for n in (1, 2, 3))
    weights = "weights ffffffffffff"
    further = f"csim[puppet_judge] {weights}; aed[deca,one], a dash: {PUT}."
    assert f"- Further instruments in scores.csv: fid[puppet_judge] {weights}; {further}" in one
    assert "Further instruments" not in two
    assert f"scores.csv: aed[deca,one], a dash: {PUT}; aed[puppet_tracker,two] {weights}." in three
    assert f"Measured on saved 8-bit frames by: fid[inception] {weights}; aed[puppet_tracker,one]" in one


def test_differences_cover_every_column_that_has_numbers(world):
    found = {line["metric"] for line in lines_of(world, "differences.csv") if line["task"] == "same"}
    assert set(COLUMNS) - found == {"csim[arcface]", "akd_px[fan,16x24]", "aed[deca,one]", "lpips[lpips_alex]"}


def test_a_row_that_lacks_features_or_scores_of_one_column_has_a_dash_there(copied):
    folder = copied / "results" / GEOM.results
    (folder / "features" / "fid.puppet_judge.parquet").unlink()
    scores = read_table(folder / "scores.parquet")
    kept = scores.filter(pc.not_equal(scores["metric"], "ssim[gauss11]"))
    write_table(folder / "scores.parquet", kept, metadata_of(scores))
    before = cells_of(copied)
    report(copied)
    after = cells_of(copied)
    both = ("first", "second")
    lost = {(data, task, GEOM.label, "fid[puppet_judge]") for data in both for task in ("same", "cross")}
    lost |= {(data, task, GEOM.label, "kid[puppet_judge]") for data in both for task in ("same", "cross")}
    lost |= {(data, "same", GEOM.label, "ssim[gauss11]") for data in both}
    assert {key for key in after if after[key] != before[key]} == lost
    assert all(after[key]["value"] == "" for key in lost)
    reasons = {key[3]: after[key]["reason"] for key in sorted(lost)}
    assert "has no features of fid[puppet_judge]: run `dvc repro evaluate" in reasons["fid[puppet_judge]"]
    assert reasons["kid[puppet_judge]"] == reasons["fid[puppet_judge]"]
    assert "lacks ssim[gauss11] of 27 of 27 pairs of second same, first " in reasons["ssim[gauss11]"]


def test_a_row_scored_while_an_instrument_was_missing_has_its_own_dash(copied):
    first = copied / "results" / NMFC.results  # columns are described as by a row that could be measured
    scorer_of(copied, {**STAND_INS, "inception": Absent}).score_saved(NMFC.key, NMFC.tasks, first)
    before = cells_of(copied)
    report(copied)
    after = cells_of(copied)
    changed = {key[2:] for key in after if after[key] != before[key]}
    assert changed == {(NMFC.label, "fid[inception]"), (NMFC.label, "kid[inception]")}
    assert after["first", "same", NMFC.label, "fid[inception]"]["reason"] == PUT
    assert "Dash in fid[inception]" not in (copied / "out" / "tables" / "table1.md").read_text()


def test_results_of_an_earlier_version_are_refused_by_name(copied):
    folder = copied / "results" / GEOM.results
    shutil.move(folder / "features" / "fid.puppet_judge.parquet", folder / "features.parquet")
    with pytest.raises(ValueError, match=r"geom_disp.features.parquet does not say .*`dvc repro evaluate controls`"):
        report(copied)
