"""What `dvc plots` draws: a line a row with numbers, a column a metric, the first of several backends."""

import csv
import io
import math

from pipeline.report.intervals.estimates import Estimate
from pipeline.report.plot_data import rows_csv
from pipeline.report.results import Cell, Measured
from pipeline.report.rows import Row

NAN = math.nan
OURS, FOMM, COPY = Row("a", "PWM", "pwm"), Row("b", "FOMM", "baseline"), Row("c", "copy source", "control")


def cell(row: Row, name: str, value: float, *, task="same", head="", backend="judge", low=NAN, high=NAN) -> Cell:
    measure = Measured(
        f"{name}[{backend}]", name, name.upper(), backend, head, False, 3, name == "fid", ("same", "cross"), "", ""
    )
    return Cell("first", task, row, measure, Estimate(value, low, high, 4, 0, 4), "")


def read(cells: list[Cell]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(rows_csv(cells, "one"))))


def test_baselines_and_controls_stand_beside_our_rows_as_soon_as_they_have_a_number():
    cells = [cell(OURS, "fid", 1.5), cell(FOMM, "fid", NAN), cell(COPY, "fid", 0.0)]
    assert [line["method"] for line in read(cells)] == ["PWM", "copy source"]
    cells += [cell(OURS, "akd", 2.0), cell(FOMM, "akd", 3.25), cell(COPY, "akd", NAN)]
    lines = {line["method"]: line for line in read(cells)}
    assert list(lines) == ["PWM", "FOMM", "copy source"]
    assert (lines["FOMM"]["fid"], lines["FOMM"]["akd"], lines["copy source"]["akd"]) == ("", "3.25", "")


def test_tasks_are_lines_and_intervals_columns():
    cells = [cell(OURS, "fid", 0.1234567, low=0.1, high=0.2), cell(OURS, "fid", 7.0, task="cross")]
    row = {"dataset": "first", "method": "PWM", "row": OURS.key, "lpips": "", "lpips_low": "", "lpips_high": ""}
    assert read(cells) == [
        {**row, "task": "same", "fid": "0.123457", "fid_low": "0.1", "fid_high": "0.2"},
        {**row, "task": "cross", "fid": "7", "fid_low": "", "fid_high": ""},
    ]


def test_lpips_is_a_column_once_whether_the_profile_measures_it_or_not():
    (without,) = read([cell(OURS, "fid", 1.0), cell(OURS, "feature_distance", 0.5)])
    assert (without["lpips"], without["feature_distance"]) == ("", "0.5")
    text = rows_csv([cell(OURS, "lpips", 0.25), cell(OURS, "fid", 1.0)], "one")
    assert text.startswith("dataset,task,method,row,lpips,lpips_low,lpips_high,fid,fid_low,fid_high\n")


def test_the_second_head_has_columns_of_its_own():
    (line,) = read([cell(OURS, "aed", 1.0, head="one"), cell(OURS, "aed", 2.0, head="two")])
    assert (line["aed"], line["aed_two"]) == ("1", "2")


def test_of_several_backends_the_first_is_drawn_even_where_only_another_has_a_number():
    (line,) = read([cell(OURS, "fid", 1.0), cell(OURS, "fid", 9.0, backend="inception")])
    assert line["fid"] == "1"
    lines = read([cell(OURS, "fid", NAN), cell(OURS, "fid", 9.0, backend="inception"), cell(OURS, "akd", 2.0)])
    assert (lines[0]["fid"], lines[0]["akd"]) == ("", "2")


def test_a_column_stays_where_no_row_has_a_number_so_that_dvc_yaml_can_name_it():
    assert rows_csv([cell(OURS, "fid", NAN), cell(OURS, "akd", 1.0)], "one").startswith(
        "dataset,task,method,row,fid,fid_low,fid_high,akd,akd_low,akd_high,lpips,lpips_low,lpips_high\n"
    )
