"""The selected row as text: the numbers and intervals that scores.csv has."""

import pytest

from pipeline.report.headline import headline_text
from pipeline.report.results import Pairs
from pipeline.report.rows import Row, selected_row
from pipeline.report.tables import DASH
from tests.benchmark_world import BENCH, MODEL, REPORT
from tests.report_world import scores


def test_the_text_has_the_numbers_of_the_tables(world):
    row = selected_row(BENCH, MODEL)
    text = headline_text(row, world / "results", Pairs(world / "pairs.parquet"), BENCH.head, REPORT.min_people)
    title, *lines = text.splitlines()
    assert title == f"{row.label} ({row.key}); 95% intervals over people"
    found = {key: cell for key, cell in scores(world).items() if key[2] == row.label}
    datasets = list(dict.fromkeys(key[0] for key in found))
    assert [line.split(":")[0].strip() for line in lines] == [
        f"{dataset}, {task} identity" for dataset in datasets for task in ("same", "cross")
    ]
    for line in lines:
        dataset, task = line.split(":")[0].strip().removesuffix(" identity").split(", ")
        shown = dict(part.split(" ", 1) for part in line.split(": ", 1)[1].split(", ") if not part[0].isdigit())
        assert "L1" in shown or task == "cross"
        for (where, what, _, metric), cell in found.items():
            name = metric.split("[")[0].upper()
            if (where, what) == (dataset, task) and name in shown and f",{BENCH.head2}]" not in metric:
                printed = shown[name].split()[0]
                wanted = float(cell["value"] or "nan")
                assert float(printed.replace(DASH, "nan")) == pytest.approx(wanted, abs=0.006, nan_ok=True)


def test_a_row_that_is_not_evaluated_is_named(world):
    with pytest.raises(FileNotFoundError, match="run the stage `evaluate` for x"):
        headline_text(Row("x", "X", "pwm"), world / "results", Pairs(world / "pairs.parquet"), "one", 8)
