"""Intervals: people as the unit in either role, p-values and families, and the cases without an interval."""

import itertools

import numpy as np
import pytest
from scipy import stats

from pipeline.metrics.fid import frechet_distance
from pipeline.report.intervals.clusters import Clusters
from pipeline.report.intervals.estimates import (
    estimate_distance,
    estimate_mean,
    holm,
    jackknife_variance,
    paired_difference,
    paired_distance_difference,
)
from pipeline.report.intervals.seeds import Error, half_width


def alone(people) -> Clusters:
    """Pairs of each person with himself."""
    return Clusters(people, people)


def everyone_with_everyone(people: int) -> Clusters:
    return Clusters(*zip(*itertools.permutations([f"p{i}" for i in range(people)], 2), strict=True))


def test_same_identity_is_the_t_of_the_peoples_means():
    rng = np.random.default_rng(1)
    means = rng.normal(3.0, 1.0, 9)
    values = np.repeat(means, 4) + np.tile([-0.3, 0.1, 0.1, 0.1], 9)
    found = estimate_mean(values, alone(np.repeat([f"p{i}" for i in range(9)], 4)), 8)
    low, high = stats.t.interval(0.95, 8, loc=means.mean(), scale=means.std(ddof=1) / 3)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-12)
    assert found.value == values.mean()


def test_cross_identity_holds_both_roles_and_their_correlation():
    """Without an error, the mean over all pairs is that of a_i + b_i, and people are its only unit."""
    rng = np.random.default_rng(2)
    clusters = everyone_with_everyone(10)
    a = rng.normal(size=10)
    for b in (rng.normal(size=10), 0.7 * a):
        values = a[clusters.source] + b[clusters.driver]
        assert clusters.variance(values) == pytest.approx(max((a + b).var(ddof=1), a.var(ddof=1), b.var(ddof=1)) / 10)
    opposite = a[clusters.source] - a[clusters.driver]  # a mean of exactly zero, yet not below the one-way variances
    assert clusters.variance(opposite) > a.var(ddof=1) / 10


def test_an_error_that_two_people_share_counts_once():
    rng = np.random.default_rng(3)
    clusters = everyone_with_everyone(12)
    two = {pair: i for i, pair in enumerate(itertools.combinations(range(12), 2))}
    which = [two[min(s, d), max(s, d)] for s, d in zip(clusters.source, clusters.driver, strict=True)]
    effects = rng.normal(size=(12, 4000)) * 0.3
    values = effects[clusters.source] + effects[clusters.driver] + rng.normal(size=(66, 4000))[which]
    assert clusters.variance(values).mean() == pytest.approx(values.mean(0).var(), rel=0.06)
    twice = Clusters(np.tile(clusters.source, 2), np.tile(clusters.driver, 2))  # other frames of the same two people
    assert twice.variance(np.tile(values, (2, 1))) == pytest.approx(clusters.variance(values))


def test_order_and_names_of_people_do_not_matter():
    rng = np.random.default_rng(4)
    clusters, values = everyone_with_everyone(9), rng.normal(size=72)
    order, names = rng.permutation(72), np.array([f"x{i}" for i in rng.permutation(9)])
    other = Clusters(names[clusters.source[order]], names[clusters.driver[order]])
    assert other.variance(values[order]) == pytest.approx(clusters.variance(values))


def test_one_driver_of_all_pairs_gives_no_interval():
    sources = [f"p{i}" for i in range(12)]
    found = estimate_mean(np.arange(12.0), Clusters(sources, ["q"] * 12), 2)
    assert (found.value, found.n, found.n_people) == (5.5, 12, 1)
    assert np.isnan([found.low, found.high]).all()


def test_effects_are_those_that_the_values_are_made_of():
    rng = np.random.default_rng(5)
    clusters = everyone_with_everyone(11)
    a, b = (x - x.mean() for x in rng.normal(size=(2, 11)))
    effects, residuals = clusters.effects(3 + a[clusters.source] + b[clusters.driver])
    np.testing.assert_allclose(effects, np.stack([a, b], 1), atol=1e-12)
    np.testing.assert_allclose(residuals, 0, atol=1e-12)


def test_mean_counts_failures():
    people = np.repeat([f"p{i}" for i in range(8)], 2)
    values = np.arange(16.0)
    values[3] = np.nan
    found = estimate_mean(values, alone(people), 8)
    assert found.value == pytest.approx(np.nanmean(values))
    assert (found.n, found.n_failed, found.n_people) == (15, 1, 8)
    assert found.low < found.value < found.high
    assert np.isnan(found.p)


def test_too_few_people_get_no_interval():
    found = estimate_mean(np.arange(14.0), alone(np.repeat(list("abcdefg"), 2)), 8)
    assert found.n_people == 7
    assert np.isnan(found.low)
    assert np.isnan(found.high)
    empty = estimate_mean(np.array([np.nan]), alone(["a"]), 8)
    assert np.isnan(empty.value)
    assert (empty.n, empty.n_failed) == (0, 1)


def test_jackknife_of_a_mean_is_the_classic_standard_error():
    values = np.array([1.0, 4.0, 2.0, 7.0, 5.0, 3.0, 8.0, 6.0])
    left_out = (values.sum() - values) / 7
    assert half_width([Error(jackknife_variance(left_out), 7)]) == pytest.approx(
        2.364624 * values.std(ddof=1) / np.sqrt(8), rel=1e-5
    )


def test_distance_interval_and_failed_features():
    rng = np.random.default_rng(2)
    people = np.repeat([f"p{i}" for i in range(10)], 12)
    reference = rng.normal(size=(120, 4))
    generated = reference + rng.normal(0.3, 0.5, size=(120, 4))
    generated[5] = np.nan
    found = estimate_distance(frechet_distance, generated, reference, alone(people), 8)
    keep = np.arange(120) != 5
    assert found.value == pytest.approx(frechet_distance(generated[keep], reference[keep]))
    assert (found.n, found.n_failed) == (119, 1)
    assert 0 <= found.low < found.value < found.high
    few = estimate_distance(frechet_distance, generated[:60], reference[:60], alone(people[:60]), 8)
    assert np.isnan(few.low)


def test_paired_difference_is_tighter_than_the_two_intervals():
    rng = np.random.default_rng(3)
    people = np.repeat([f"p{i}" for i in range(12)], 5)
    hard = np.repeat(rng.normal(5, 2, 12), 5)
    a, b = hard + rng.normal(0, 0.1, 60), hard + 0.5 + rng.normal(0, 0.1, 60)
    a[0] = np.nan
    found = paired_difference(a, b, alone(people), 8)
    assert found.value == pytest.approx(np.nanmean(a - b))
    assert found.high < 0
    assert found.n_failed == 1
    own = estimate_mean(a, alone(people), 8)
    assert found.high - found.low < 0.2 * (own.high - own.low)


def test_paired_distance_difference_has_the_sign_of_a_minus_b():
    rng = np.random.default_rng(4)
    people = np.repeat([f"p{i}" for i in range(8)], 20)
    reference = rng.normal(size=(160, 3))
    near, far = reference + 0.1, reference + 1.0
    found = paired_distance_difference(frechet_distance, near, far, reference, alone(people), 8)
    assert found.value == pytest.approx(3 * 0.01 - 3 * 1.0)
    assert found.low <= found.value <= found.high < 0


def test_p_is_the_paired_t_tests():
    rng = np.random.default_rng(6)
    people = np.repeat([f"p{i}" for i in range(10)], 3)
    a, b = rng.normal(0.2, 1, 30), rng.normal(0, 1, 30)
    found = paired_difference(a, b, alone(people), 8)
    wanted = stats.ttest_rel(*(x.reshape(10, 3).mean(1) for x in (a, b)))
    assert found.p == pytest.approx(wanted.pvalue, rel=1e-9)
    assert paired_difference(b, a, alone(people), 8).p == pytest.approx(found.p)
    assert paired_difference(a, a, alone(people), 8).p == 1
    assert paired_difference(a + 1, a, alone(people), 8).p < 1e-12
    assert np.isnan(paired_difference(a, b, alone(people), 11).p)


def test_p_is_below_5_percent_where_the_interval_leaves_zero_out():
    rng = np.random.default_rng(7)
    clusters = everyone_with_everyone(9)
    found = [paired_difference(rng.normal(0.15, 1, 72), np.zeros(72), clusters, 8) for _ in range(100)]
    assert {(one.p < 0.05) == (one.low > 0 or one.high < 0) for one in found} == {True}
    assert 0 < sum(one.p < 0.05 for one in found) < 100


def by_closed_tests(p: np.ndarray) -> np.ndarray:
    """Holm as the closure of Bonferroni: the largest of |S| min p over all sets S of hypotheses that hold the one."""
    names = range(len(p))
    sets = [s for size in names for s in itertools.combinations(names, size + 1)]
    return np.array([min(1.0, max(len(s) * min(p[list(s)]) for s in sets if i in s)) for i in names])


def test_holm_is_the_closure_of_bonferroni():
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])  # by hand
    rng = np.random.default_rng(8)
    for size in (0, 1, 2, 5, 7):
        p = rng.random(size) ** 3
        np.testing.assert_allclose(holm(p), by_closed_tests(p))
    np.testing.assert_allclose(holm(np.array([0.02, 0.02])), [0.04, 0.04])


def test_two_orders_of_the_same_images_are_at_distance_zero():
    rng = np.random.default_rng(9)
    for size, width in ((40, 64), (264, 16), (30, 3)):
        features = rng.normal(size=(size, width)).astype(np.float32) * 100
        assert frechet_distance(features, features[rng.permutation(size)]) == 0
        assert frechet_distance(features, features + 1e-4 * rng.normal(size=features.shape)) > 0


def test_cross_identity_distance_leaves_people_out_in_either_role():
    rng = np.random.default_rng(10)
    clusters = everyone_with_everyone(8)
    driver = rng.normal(size=(8, 3))[clusters.driver]
    reference = rng.normal(size=(56, 3))
    found = estimate_distance(frechet_distance, reference + driver, reference, clusters, 8)
    left = [(clusters.source != p) & (clusters.driver != p) for p in range(8)]
    distances = np.array([frechet_distance((reference + driver)[keep], reference[keep]) for keep in left])
    error = np.sqrt(7 / 8 * ((distances - distances.mean()) ** 2).sum())
    assert found.high - found.value == pytest.approx(stats.t.ppf(0.975, 7) * error)


def crossed(people: int, seeds: int, rng) -> np.ndarray:
    """(seeds, people * 3) scores with effects of people, of seeds and of both."""
    effects = rng.normal(size=(1, people)) + rng.normal(size=(seeds, 1)) + 0.3 * rng.normal(size=(seeds, people))
    return np.repeat(effects, 3, axis=1) + 0.1 * rng.normal(size=(seeds, people * 3))


def test_several_seeds_are_a_mean_whose_interval_holds_people_and_seeds():
    rng = np.random.default_rng(11)
    clusters, values = alone(np.repeat([f"p{i}" for i in range(9)], 3)), crossed(9, 4, rng)
    found = estimate_mean(values, clusters, 8)
    of_people = values.mean(0).reshape(9, 3).mean(1).var(ddof=1) / 9
    of_seeds = values.mean(1).var(ddof=1) / 4
    freedom = (of_people + of_seeds) ** 2 / (of_people**2 / 8 + of_seeds**2 / 3)
    wanted = max(stats.t.ppf(0.975, freedom) * np.sqrt(of_people + of_seeds), stats.t.ppf(0.975, 3) * np.sqrt(of_seeds))
    assert found.value == pytest.approx(values.mean())
    assert found.high - found.value == pytest.approx(wanted, rel=1e-9)
    assert (found.n, found.n_people, found.n_seeds) == (27, 9, 4)
    assert found.seed_sd == pytest.approx(values.mean(1).std(ddof=1))
    one = estimate_mean(values[:1], clusters, 8)
    assert one == estimate_mean(values[0], clusters, 8)
    assert (one.n_seeds, np.isnan(one.seed_sd)) == (1, True)


def test_seeds_that_do_not_differ_change_nothing_and_those_that_do_are_never_narrower_than_their_own_t():
    rng = np.random.default_rng(12)
    clusters, values = alone(np.repeat([f"p{i}" for i in range(9)], 3)), crossed(9, 1, rng)
    same, one = (estimate_mean(v, clusters, 8) for v in (np.repeat(values, 3, axis=0), values))
    assert (same.low, same.high, same.seed_sd) == pytest.approx((one.low, one.high, 0.0), abs=1e-12)
    far = values + np.array([[-100.0], [0.0], [100.0]])
    found = estimate_mean(far, clusters, 8)
    assert found.high - found.value >= (1 - 1e-9) * stats.t.ppf(0.975, 2) * 100 / np.sqrt(3)


def test_a_pair_that_failed_in_one_seed_is_left_out_of_all():
    values = crossed(9, 3, np.random.default_rng(13))
    values[1, 4] = np.nan
    found = estimate_mean(values, alone(np.repeat([f"p{i}" for i in range(9)], 3)), 8)
    assert (found.n, found.n_failed) == (26, 1)
    assert found.value == pytest.approx(np.delete(values, 4, axis=1).mean())
    values[2] = np.nan
    none = estimate_mean(values, alone(["a"] * 27), 8)
    assert (none.n, none.n_failed) == (0, 27)


def test_a_difference_holds_the_seeds_of_both_rows_unpaired():
    rng = np.random.default_rng(14)
    clusters = alone(np.repeat([f"p{i}" for i in range(12)], 3))
    a, b = crossed(12, 3, rng), crossed(12, 5, rng)
    found = paired_difference(a, b, clusters, 8)
    parts = [(a.mean(0) - b.mean(0)).reshape(12, 3).mean(1).var(ddof=1) / 12, a.mean(1).var(ddof=1) / 3,
             b.mean(1).var(ddof=1) / 5]  # fmt: skip
    freedoms = [11, 2, 4]

    def t_of(some: slice) -> tuple[float, float]:
        total = sum(parts[some])
        return np.sqrt(total), total**2 / sum(p**2 / f for p, f in zip(parts[some], freedoms[some], strict=True))

    errors = [t_of(slice(None)), t_of(slice(1, None))]
    assert found.high - found.value == pytest.approx(max(stats.t.ppf(0.975, f) * e for e, f in errors), rel=1e-9)
    assert found.p == pytest.approx(max(2 * stats.t.sf(abs(found.value) / e, f) for e, f in errors), rel=1e-6)
    assert (found.n_seeds, found.seed_sd) == (3, pytest.approx(np.sqrt(3 * parts[1] + 5 * parts[2])))
    control = paired_difference(a, b[0], clusters, 8)  # a row without trainings adds none
    by_seeds = stats.t.ppf(0.975, 2) * np.sqrt(parts[1])
    assert control.high - control.value >= (1 - 1e-9) * by_seeds
    assert control.seed_sd == pytest.approx(np.sqrt(3 * parts[1]))
    for shift in np.linspace(-1, 1, 9):
        one = paired_difference(a + shift, b, clusters, 8)
        assert (one.p < 0.05) == (one.low > 0 or one.high < 0)


def test_fid_of_several_seeds_is_their_mean_with_their_variance():
    rng = np.random.default_rng(15)
    clusters = alone(np.repeat([f"p{i}" for i in range(9)], 12))
    reference = rng.normal(size=(108, 3))
    seeds = [reference + shift + 0.3 * rng.normal(size=(108, 3)) for shift in (0.2, 0.5, 0.9)]
    found = estimate_distance(frechet_distance, seeds, reference, clusters, 8)
    each = np.array([frechet_distance(one, reference) for one in seeds])
    assert found.value == pytest.approx(each.mean())
    assert (found.n_seeds, found.seed_sd) == (3, pytest.approx(each.std(ddof=1)))
    single = [estimate_distance(frechet_distance, one, reference, clusters, 8) for one in seeds]
    assert found.high - found.value > max(one.high - one.value for one in single)
    assert estimate_distance(frechet_distance, seeds[:1], reference, clusters, 8) == single[0]
    apart = paired_distance_difference(frechet_distance, seeds, [reference + 2.0], reference, clusters, 8)
    assert apart.value == pytest.approx(each.mean() - 12)
    assert apart.seed_sd == pytest.approx(each.std(ddof=1))
