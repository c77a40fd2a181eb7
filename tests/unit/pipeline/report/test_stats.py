"""Intervals: coverage, people as the unit, and the cases without an interval."""

import numpy as np
import pytest

from pipeline.metrics.fid import frechet_distance
from pipeline.report.stats import (
    Resampling,
    estimate_distance,
    estimate_mean,
    jackknife_half_width,
    paired_difference,
    paired_distance_difference,
)

HOW = Resampling(draws=400, seed=0, min_people=8)


def test_bootstrap_covers_the_truth_when_people_differ():
    rng = np.random.default_rng(1)
    hits, naive_hits = 0, 0
    people = np.repeat([f"p{i}" for i in range(20)], 10)
    for trial in range(120):
        values = np.repeat(rng.normal(3.0, 1.0, 20), 10) + rng.normal(0, 0.2, 200)
        found = estimate_mean(values, people, Resampling(400, trial, 8))
        hits += found.low <= 3.0 <= found.high
        half = 1.96 * values.std() / np.sqrt(200)
        naive_hits += abs(values.mean() - 3.0) <= half
    assert 0.85 <= hits / 120 <= 0.99
    assert naive_hits / 120 < 0.6  # pairs are no independent evidence


def test_mean_counts_failures_and_is_seeded():
    people = np.repeat([f"p{i}" for i in range(8)], 2)
    values = np.arange(16.0)
    values[3] = np.nan
    found = estimate_mean(values, people, HOW)
    assert found.value == pytest.approx(np.nanmean(values))
    assert (found.n, found.n_failed, found.n_people) == (15, 1, 8)
    assert found.low < found.value < found.high
    assert found == estimate_mean(values, people, HOW)


def test_too_few_people_get_no_interval():
    found = estimate_mean(np.arange(14.0), np.repeat(list("abcdefg"), 2), HOW)
    assert found.n_people == 7
    assert np.isnan(found.low)
    assert np.isnan(found.high)
    empty = estimate_mean(np.array([np.nan]), ["a"], HOW)
    assert np.isnan(empty.value)
    assert (empty.n, empty.n_failed) == (0, 1)


def test_jackknife_of_a_mean_is_the_classic_standard_error():
    values = np.array([1.0, 4.0, 2.0, 7.0, 5.0, 3.0, 8.0, 6.0])
    left_out = (values.sum() - values) / 7
    assert jackknife_half_width(left_out) == pytest.approx(2.364624 * values.std(ddof=1) / np.sqrt(8), rel=1e-5)


def test_distance_interval_and_failed_features():
    rng = np.random.default_rng(2)
    people = np.repeat([f"p{i}" for i in range(10)], 12)
    reference = rng.normal(size=(120, 4))
    generated = reference + rng.normal(0.3, 0.5, size=(120, 4))
    generated[5] = np.nan
    found = estimate_distance(frechet_distance, generated, reference, people, HOW)
    keep = np.arange(120) != 5
    assert found.value == pytest.approx(frechet_distance(generated[keep], reference[keep]))
    assert (found.n, found.n_failed) == (119, 1)
    assert 0 <= found.low < found.value < found.high
    few = estimate_distance(frechet_distance, generated[:60], reference[:60], people[:60], HOW)
    assert np.isnan(few.low)


def test_paired_difference_is_tighter_than_the_two_intervals():
    rng = np.random.default_rng(3)
    people = np.repeat([f"p{i}" for i in range(12)], 5)
    hard = np.repeat(rng.normal(5, 2, 12), 5)
    a, b = hard + rng.normal(0, 0.1, 60), hard + 0.5 + rng.normal(0, 0.1, 60)
    a[0] = np.nan
    found = paired_difference(a, b, people, HOW)
    assert found.value == pytest.approx(np.nanmean(a - b))
    assert found.high < 0
    assert found.n_failed == 1
    alone = estimate_mean(a, people, HOW)
    assert found.high - found.low < 0.2 * (alone.high - alone.low)


def test_paired_distance_difference_has_the_sign_of_a_minus_b():
    rng = np.random.default_rng(4)
    people = np.repeat([f"p{i}" for i in range(8)], 20)
    reference = rng.normal(size=(160, 3))
    near, far = reference + 0.1, reference + 1.0
    found = paired_distance_difference(frechet_distance, near, far, reference, people, HOW)
    assert found.value == pytest.approx(3 * 0.01 - 3 * 1.0)
    assert found.low <= found.value <= found.high < 0
