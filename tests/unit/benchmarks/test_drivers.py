"""Shuffled drivers: each is another pair's of the same person, and everything else stays."""

import numpy as np

from benchmarks.drivers import beaten, shuffled
from pipeline.bench.pair_frames import load_pair_frames
from tests.benchmark_world import make_clips, make_pairs


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
