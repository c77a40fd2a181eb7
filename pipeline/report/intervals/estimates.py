"""Numbers with their 95% intervals: value +- Student's t times the standard error over people.

Means: the variance of `pipeline.report.intervals.clusters`. FID: delete-one-person jackknife, where for cross identity
a person is left out in either role. Differences between two rows keep pairs together. docs/intervals.md shows what
these intervals cover.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.report.intervals.clusters import Clusters

LEVEL = 0.95
Distance = Callable[[np.ndarray, np.ndarray], float]


@dataclass(frozen=True)
class Estimate:
    """A number with its interval.

    Attributes:
        value: NaN when nothing could be measured.
        low, high: 95% interval, NaN when there are too few people.
        n: pairs in the number.
        n_failed: pairs left out because an image could not be read.
        n_people: people in the number: sources, or drivers where they are fewer.
        p: of a difference: two-sided, from the same t as the interval; NaN elsewhere and without an interval.
    """

    value: float
    low: float
    high: float
    n: int
    n_failed: int
    n_people: int
    p: float = np.nan


def estimate_mean(values: np.ndarray, clusters: Clusters, min_people: int) -> Estimate:
    """Mean of (N,) values with its interval over people; NaN values are failed pairs.

    Args:
        values: a score of each pair.
        clusters: the people of each pair.
        min_people: with fewer people there is no interval.
    """
    values = np.asarray(values, np.float64)
    ok = np.isfinite(values)
    n_failed = int((~ok).sum())
    if not ok.any():
        return Estimate(np.nan, np.nan, np.nan, 0, n_failed, 0)
    values, clusters = values[ok], clusters.kept(ok)
    half = np.nan
    if clusters.num_people >= min_people:
        half = half_width(clusters.variance(values), clusters.num_people)
    value = float(values.mean())
    return Estimate(value, value - half, value + half, len(values), n_failed, clusters.num_people)


def estimate_distance(
    distance: Distance, generated: np.ndarray, reference: np.ndarray, clusters: Clusters, min_people: int
) -> Estimate:
    """Distance of two sets of (N, D) features, row i of both from pair i, with a jackknife over people.

    The interval is for the distance that is expected at this number of pairs, and does not go below zero.
    """
    ok = np.isfinite(generated).all(1) & np.isfinite(reference).all(1)
    generated, reference, clusters = generated[ok], reference[ok], clusters.kept(ok)
    value = distance(generated, reference)
    half = np.nan
    if clusters.num_people >= min_people:
        left_out = [distance(generated[keep], reference[keep]) for keep in clusters.left_out()]
        half = half_width(jackknife_variance(np.array(left_out)), clusters.num_people)
    low = max(value - half, 0.0) if np.isfinite(half) else np.nan
    return Estimate(float(value), low, value + half, int(ok.sum()), int((~ok).sum()), clusters.num_people)


def paired_difference(values_a: np.ndarray, values_b: np.ndarray, clusters: Clusters, min_people: int) -> Estimate:
    """Mean of a - b over the same pairs, with its interval and p; a pair that failed in either is left out."""
    difference = np.asarray(values_a, np.float64) - np.asarray(values_b, np.float64)
    return _tested(estimate_mean(difference, clusters, min_people))


def paired_distance_difference(
    distance: Distance,
    generated_a: np.ndarray,
    generated_b: np.ndarray,
    reference: np.ndarray,
    clusters: Clusters,
    min_people: int,
) -> Estimate:
    """Distance of a minus distance of b to the same reference, with a jackknife of the difference, and p."""
    ok = np.isfinite(np.concatenate([generated_a, generated_b, reference], 1)).all(1)
    a, b, reference, clusters = generated_a[ok], generated_b[ok], reference[ok], clusters.kept(ok)
    value = distance(a, reference) - distance(b, reference)
    half = np.nan
    if clusters.num_people >= min_people:
        left_out = [distance(a[k], reference[k]) - distance(b[k], reference[k]) for k in clusters.left_out()]
        half = half_width(jackknife_variance(np.array(left_out)), clusters.num_people)
    n, n_failed = int(ok.sum()), int((~ok).sum())
    return _tested(Estimate(float(value), value - half, value + half, n, n_failed, clusters.num_people))


def jackknife_variance(left_out: np.ndarray) -> float:
    """Variance of a number from the (people,) values with one person left out each."""
    people = len(left_out)
    return float((people - 1) / people * np.square(left_out - left_out.mean()).sum())


def half_width(variance: np.ndarray | float, people: int) -> float:
    """Half of the 95% interval of a number with this variance over people."""
    return float(quantile(people) * np.sqrt(variance))


def quantile(people: int) -> float:
    """Student's t of people - 1 degrees of freedom that 95% lie within."""
    from scipy.special import stdtrit

    return float(stdtrit(people - 1, (1 + LEVEL) / 2))


def holm(p_values: np.ndarray) -> np.ndarray:
    """Holm's adjustment of one family of (N,) p-values: below 5% where the step-down test at 5% rejects.

    The k-th smallest of m is multiplied by m - k + 1, is not below those before it, and not above 1.
    """
    order = np.argsort(p_values, kind="stable")
    steps = np.asarray(p_values, np.float64)[order] * np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def _tested(estimate: Estimate) -> Estimate:
    """Add p: how often a t as far from zero as this comes, were the difference zero."""
    from dataclasses import replace

    from scipy.special import stdtr

    half = estimate.high - estimate.value
    if not np.isfinite(half):
        return estimate
    if half == 0:
        return replace(estimate, p=1.0 if estimate.value == 0 else 0.0)
    t = abs(estimate.value) / half * quantile(estimate.n_people)
    return replace(estimate, p=float(2 * stdtr(estimate.n_people - 1, -t)))
