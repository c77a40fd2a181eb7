"""Rows that do not beat copying are named below the tables, with their longer curves where there are some."""

import json
from dataclasses import replace

from pipeline.report.footer.budget import budget_lines, longer_file, short_of
from pipeline.report.results import Pairs, Results
from tests.report_world import ROWS, scores


def test_rows_that_copying_beats_are_those_with_the_larger_l1(world, tmp_path):
    results = Results(ROWS, world / "results", Pairs(world / "pairs.parquet"), 2)
    found = short_of(results)
    table = {
        key[:3]: float(cell["value"]) for key, cell in scores(world).items() if key[3][:2] == "l1" and cell["value"]
    }
    wanted = {
        (row.key, dataset)
        for row in ROWS
        if row.kind == "pwm"
        for dataset in results.pairs.datasets
        if table[dataset, "same", row.label] >= table[dataset, "same", "copy source"]
    }
    assert wanted  # the toy world's first row is the copy itself
    assert {(key, dataset) for key, (_, datasets) in found.items() for dataset in datasets} == wanted
    (line,) = budget_lines(results, tmp_path, "toy")
    first = next(iter(found.values()))[0]
    assert f"`copy source` is better in L1 than {first.label} (" in line
    assert "`python -m benchmarks.longer` finds out" in line
    assert f"do for {', '.join(row.label for row, _ in found.values())} is not on record" in line
    longer_file(tmp_path, "toy").write_text(json.dumps({"times": 5, "rows": {first.key: []}}))
    (line,) = budget_lines(results, tmp_path, "toy")
    assert f"curves of {first.label} at 5 times the iterations: longer-toy.md in reports/reference" in line
    others = [row.label for row, _ in list(found.values())[1:]]
    assert (f"do for {', '.join(others)} is not on record" in line) == bool(others)


def test_without_such_rows_nothing_is_said(world, tmp_path):
    results = Results(ROWS, world / "results", Pairs(world / "pairs.parquet"), 2)
    results.rows = [replace(row, kind="own") for row in results.rows]
    assert budget_lines(results, tmp_path, "toy") == []
