"""All rows are compared on the same pairs, and what a row loses for its own and for others' sake is counted."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.report.intervals.estimates import Estimate
from pipeline.report.shared_pairs import shared_pairs
from pipeline.report.tables import lost_text
from pipeline.store.schema import metadata_of, read_table, write_table
from tests.report_world import differences, report, scores

NMFC, GEOM = "tiny.one.nmfc", "tiny.one.geom_disp"
AKD, FID, KID = "akd_px[judge,16x24]", "fid[judge]", "kid[judge]"
LOST = "first.same.004"


@pytest.fixture
def copied(world, tmp_path) -> Path:
    return Path(shutil.copytree(world, tmp_path / "copy"))


def fail(world: Path, row: str, metric: str, pairs: set[str]) -> None:
    """Let an instrument have failed at these pairs of a row."""
    path = world / "results" / row / "scores.parquet"
    table = read_table(path)
    values = [np.nan if r["metric"] == metric and r["pair_id"] in pairs else r["value"] for r in table.to_pylist()]
    column = table.schema.get_field_index("value")
    write_table(path, table.set_column(column, table.field(column), pa.array(values)), metadata_of(table))


def test_a_pair_that_one_row_lost_counts_in_none_and_is_said(copied):
    before = scores(copied)
    fail(copied, NMFC, AKD, {LOST})
    report(copied)
    after = scores(copied)
    where = ("first", "same")
    nmfc, geom = (after[*where, label, AKD] for label in ("PWM + NMFC", "PWM + geom. disp."))
    assert (nmfc["n"], nmfc["n_failed"], nmfc["n_left_out"]) == ("26", "1", "0")
    assert (geom["n"], geom["n_failed"], geom["n_left_out"]) == ("26", "0", "1")
    table = read_table(copied / "results" / GEOM / "scores.parquet").to_pylist()
    rest = [r["value"] for r in table if (r["dataset"], r["metric"]) == ("first", AKD) and r["pair_id"] != LOST]
    assert float(geom["value"]) == pytest.approx(np.mean(rest), rel=1e-5)
    changed = {key[3] for key in after if after[key] != before[key]}
    assert {name.split("|")[0] for name in changed} == {AKD}, "other columns stay as they are"
    assert not any(key[0] == "second" for key in after if after[key] != before[key])
    text = (copied / "out/tables/table1.md").read_text()
    nmfc_line, geom_line = (next(x for x in text.splitlines() if x.startswith(f"| {name} |")) for name in
                            ("PWM + NMFC", "PWM + geom. disp."))  # fmt: skip
    assert nmfc_line.count("(1 failed)") == 1
    assert geom_line.count("(1 left out)") == 1
    assert "(1 left out)" in (copied / "out/index.html").read_text()


def test_differences_are_of_the_numbers_that_stand_in_the_tables(copied):
    fail(copied, "controls/copy_source", AKD, {LOST})
    report(copied)
    cells = scores(copied)
    line = next(x for x in differences(copied / "out") if (x["dataset"], x["row"], x["metric"]) == ("first", GEOM, AKD)
                and x["reference_row"] == NMFC)  # fmt: skip
    ours, reference = (
        float(cells["first", "same", name, AKD]["value"]) for name in ("PWM + geom. disp.", "PWM + NMFC")
    )
    assert float(line["difference"]) == pytest.approx(ours - reference, abs=1e-4)
    assert line["n"] == "26"


def test_sets_are_compared_on_the_same_pairs_too(copied):
    path = copied / "results" / NMFC / "features" / "fid.judge.parquet"
    table = pq.read_table(path)
    rows = table.to_pylist()
    for row in rows:
        if (row["pair_id"], row["role"]) == (LOST, "generated"):
            row["features"] = [np.nan] * len(row["features"])
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
    report(copied)
    after = scores(copied)
    for metric in (FID, KID):
        cell = after["first", "same", "PWM + geom. disp.", metric]
        assert (cell["n"], cell["n_left_out"]) == ("26", "1")


def test_a_row_that_could_read_nothing_has_no_say(copied):
    before = scores(copied)
    fail(copied, NMFC, AKD, {f"first.same.{n:03d}" for n in range(27)})
    report(copied)
    after = scores(copied)
    nmfc = after["first", "same", "PWM + NMFC", AKD]
    assert (nmfc["value"], nmfc["n_failed"], nmfc["reason"]) == ("", "27", "no pair could be read")
    for label in ("PWM + geom. disp.", "copy source"):
        assert after["first", "same", label, AKD] == before["first", "same", label, AKD]


def test_rows_that_have_no_pair_in_common_are_a_dash_that_says_so(copied):
    fail(copied, NMFC, AKD, {f"first.same.{n:03d}" for n in range(14)})
    fail(copied, GEOM, AKD, {f"first.same.{n:03d}" for n in range(14, 27)})
    report(copied)
    cell = scores(copied)["first", "same", "PWM + neural codes", AKD]
    assert (cell["value"], cell["n"], cell["n_left_out"]) == ("", "0", "27")
    assert cell["reason"] == "no pair could be read in every row"


class Row:
    """A result of one seed or several."""

    def __init__(self, values: list[list[float]], reason: str = "") -> None:
        self._values, self._reason = np.array(values), reason

    def reason(self, metric_id: str) -> str:
        return self._reason

    def values(self, dataset: str, task: str, metric_id: str, pair_ids: list[str]) -> np.ndarray:
        return self._values


def test_a_pair_that_failed_in_one_seed_failed():
    nan = np.nan
    rows = {"a": Row([[1, 2, 3, 4], [1, nan, 3, 4]]), "b": Row([[1, 2, 3, nan]]), "c": Row([[nan] * 4], "absent")}
    found = shared_pairs(rows, "d", "same", "m", False, ["1", "2", "3", "4"])
    assert found.here.tolist() == [True, False, True, False]
    assert found.failed == {"a": 1, "b": 1}
    assert (found.left_out("a"), found.left_out("b")) == (1, 1)


def test_what_stands_beside_the_number():
    def lost(failed: int, left_out: int) -> str:
        return lost_text(Estimate(1.0, 0.0, 2.0, 9, failed, 3, n_left_out=left_out))

    assert [lost(0, 0), lost(2, 0), lost(0, 5), lost(2, 5)] == [
        "", "(2 failed)", "(5 left out)", "(2 failed, 5 left out)"]  # fmt: skip
