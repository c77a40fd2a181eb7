"""Shuffled drivers: each is another pair's of the same person, and everything else stays."""

import numpy as np
import pytest

from benchmarks.drivers import METRICS, beaten, over_copying, shuffled, surely
from pipeline.bench.pair_frames import load_pair_frames
from pipeline.report.results import Pairs
from pipeline.report.rows import paper_rows
from tests.benchmark_world import BENCH, REPORT, make_clips, make_pairs
from tests.report_world import differences, make_world


def test_drivers_are_other_pairs_of_the_same_person(tmp_path):
    make_clips(tmp_path / "clips")
    make_pairs(tmp_path / "pairs.parquet")
    pairs, _ = load_pair_frames(tmp_path / "pairs.parquet", tmp_path / "clips")
    pairs = pairs.select(pairs.task == "same")
    other = shuffled(pairs)
    assert np.array_equal(other.source_row, pairs.source_row)
    assert np.array_equal(other.driving_person, pairs.driving_person)
    assert np.array_equal(other.dataset, pairs.dataset)
    alone = [sum(pairs.driving_person == person) == 1 for person in pairs.driving_person]
    assert not all(alone)
    assert (other.driving_row != pairs.driving_row)[~np.array(alone)].any()
    for dataset in np.unique(pairs.dataset):
        mine = pairs.dataset == dataset
        assert sorted(other.driving_row[mine].tolist()) == sorted(pairs.driving_row[mine].tolist())


def test_a_row_beats_copying_where_its_number_is_lower():
    copied = {"l1": 10.0, "akd": 2.0, "aed": 0.1, "apd": 5.0}
    assert beaten({"l1": 9.0, "akd": 2.0, "aed": 0.2, "apd": float("nan")}, copied) == ["l1"]


def test_what_is_left_over_copying_has_the_interval_of_the_tables(tmp_path):
    make_world(tmp_path)
    results, pairs, rows = tmp_path / "results", Pairs(tmp_path / "pairs.parquet"), paper_rows(BENCH)
    told = {
        (line["dataset"], line["row"], line["metric"].split("[")[0].removesuffix("_px")): line
        for line in differences(tmp_path / "out")
        if (line["task"], line["reference_row"]) == ("same", "copy_source") and "two" not in line["metric"]
    }
    sure = {}
    for row in rows:
        found = over_copying(row, results, results, pairs, BENCH.head2, REPORT.min_people)
        assert set(found) == set(pairs.datasets)
        for dataset, columns in found.items():
            assert set(columns) == set(METRICS)
            for name, left in columns.items():
                line = told[dataset, row.key, name]
                wanted = [float(line[key]) for key in ("difference", "ci_low", "ci_high")]
                assert list(left.values()) == pytest.approx(wanted, rel=1e-3, abs=1e-6)
            sure[row.key, dataset] = surely(columns)
    first, *_, last = (row.key for row in rows)
    for dataset in pairs.datasets:
        assert "l1" not in sure[first, dataset]  # it is a copy
        assert "l1" in sure[last, dataset]  # it is nearer to the driving frame than to the source
