"""Numbers with their 95% intervals: value +- Student's t times the standard error over people.

Means: the variance of `pipeline.report.intervals.clusters`. FID: delete-one-person jackknife, where for cross identity
a person is left out in either role. Differences between two rows keep pairs together. Where a row was trained with
several seeds a number is the mean over them, and their variance is in its interval (`pipeline.report.intervals.seeds`).
docs/intervals.md shows what these intervals cover.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.report.intervals.clusters import Clusters
from pipeline.report.intervals.seeds import Error, errors_of, half_width, quantile, seed_sd

Distance = Callable[[np.ndarray, np.ndarray], float]
OfSeeds = np.ndarray | Sequence[np.ndarray]  # features (N, D) of one seed, or of each of several


@dataclass(frozen=True)
class Estimate:
    """A number with its interval.

    Attributes:
        value: NaN when nothing could be measured.
        low, high: 95% interval, NaN when there are too few people.
        n: pairs in the number.
        n_failed: pairs left out because an image could not be read.
        n_left_out: pairs left out because another row's image could not be read.
        n_people: people in the number: sources, or drivers where they are fewer.
        p: of a difference: two-sided, from the same t as the interval; NaN elsewhere and without an interval.
        n_seeds: trainings that the number is the mean over, of a difference those of the row; 1 where none was trained.
        seed_sd: standard deviation of the number between trainings, NaN with one; of a difference that of two rows.
    """

    value: float
    low: float
    high: float
    n: int
    n_failed: int
    n_people: int
    p: float = np.nan
    n_seeds: int = 1
    seed_sd: float = np.nan
    n_left_out: int = 0


def estimate_mean(values: np.ndarray, clusters: Clusters, min_people: int) -> Estimate:
    """Mean of (N,) values with its interval over people; NaN values are failed pairs.

    Args:
        values: a score of each pair, or (seeds, N) of each seed and pair; a pair that failed in one seed is left out of
            all.
        clusters: the people of each pair.
        min_people: with fewer people there is no interval.
    """
    return _mean([np.atleast_2d(np.asarray(values, np.float64))], clusters, min_people)[0]


def estimate_distance(
    distance: Distance,
    generated: OfSeeds,
    reference: np.ndarray,
    clusters: Clusters,
    min_people: int,
    least: float = 0.0,
) -> Estimate:
    """Distance of two sets of (N, D) features, row i of both from pair i, with a jackknife over people.

    Of several seeds it is the mean of their distances. The interval is for the distance that is expected at this number
    of pairs, and does not go below `least`.
    """
    found, _ = _distance(distance, [generated], reference, clusters, min_people)
    low = max(found.low, least) if np.isfinite(found.low) else np.nan
    return replace(found, low=low)


def paired_difference(values_a: np.ndarray, values_b: np.ndarray, clusters: Clusters, min_people: int) -> Estimate:
    """Mean of a - b over the same pairs, with its interval and p; a pair that failed in either is left out.

    Either has (N,) values, or (seeds, N).
    """
    both = [np.atleast_2d(np.asarray(values, np.float64)) for values in (values_a, values_b)]
    return _tested(*_mean(both, clusters, min_people))


def paired_distance_difference(
    distance: Distance,
    generated_a: OfSeeds,
    generated_b: OfSeeds,
    reference: np.ndarray,
    clusters: Clusters,
    min_people: int,
) -> Estimate:
    """Distance of a minus distance of b to the same reference, with a jackknife of the difference, and p."""
    return _tested(*_distance(distance, [generated_a, generated_b], reference, clusters, min_people))


def _mean(rows: Sequence[np.ndarray], clusters: Clusters, min_people: int) -> tuple[Estimate, list[Error]]:
    """Mean of one row's (seeds, N) values, or of the difference of two rows'."""
    ok = np.logical_and.reduce([np.isfinite(of_row).all(0) for of_row in rows])
    n_failed = int((~ok).sum())
    if not ok.any():
        return Estimate(np.nan, np.nan, np.nan, 0, n_failed, 0), []
    of_pairs, *subtracted = (of_row.mean(0)[ok] for of_row in rows)
    values, clusters = of_pairs - subtracted[0] if subtracted else of_pairs, clusters.kept(ok)
    seeds = [of_row[:, ok].mean(1) for of_row in rows]
    errors = []
    if clusters.num_people >= min_people:
        errors = errors_of(float(clusters.variance(values)), clusters.num_people, seeds)
    return _estimate(float(values.mean()), errors, seeds, ok, clusters), errors


def _distance(
    distance: Distance, rows: Sequence[OfSeeds], reference: np.ndarray, clusters: Clusters, min_people: int
) -> tuple[Estimate, list[Error]]:
    """Distance of one row's features to the reference, or the difference of two rows' distances."""
    of_rows = [[row] if isinstance(row, np.ndarray) else row for row in rows]
    ok = np.isfinite(reference).all(1)
    for of_row in of_rows:
        for generated in of_row:
            ok &= np.isfinite(generated).all(1)
    reference, clusters = reference[ok], clusters.kept(ok)
    left_out = clusters.left_out() if clusters.num_people >= min_people else []
    sets: list[slice | np.ndarray] = [slice(None), *left_out]  # all pairs, then those without one person each
    found = [
        np.array([[distance(features[keep], reference[keep]) for keep in sets] for features in _kept(of_row, ok)])
        for of_row in of_rows
    ]
    means, *subtracted = (of_seeds.mean(0) for of_seeds in found)
    numbers = means - subtracted[0] if subtracted else means
    seeds = [of_seeds[:, 0] for of_seeds in found]
    errors = errors_of(jackknife_variance(numbers[1:]), clusters.num_people, seeds) if left_out else []
    return _estimate(float(numbers[0]), errors, seeds, ok, clusters), errors


def _kept(of_seeds: Iterable[np.ndarray], ok: np.ndarray) -> Iterable[np.ndarray]:
    """Features of the pairs that were read, one seed's at a time."""
    return (features[ok] for features in of_seeds)


def _estimate(
    value: float, errors: Sequence[Error], seeds: Sequence[np.ndarray], ok: np.ndarray, clusters: Clusters
) -> Estimate:
    half = float(half_width(errors)) if errors else np.nan
    n, n_failed = int(ok.sum()), int((~ok).sum())
    n_seeds = len(seeds[0])
    return Estimate(
        value, value - half, value + half, n, n_failed, clusters.num_people, n_seeds=n_seeds, seed_sd=seed_sd(seeds)
    )


def jackknife_variance(left_out: np.ndarray) -> float:
    """Variance of a number from the (people,) values with one person left out each."""
    people = len(left_out)
    return float((people - 1) / people * np.square(left_out - left_out.mean()).sum())


def holm(p_values: np.ndarray) -> np.ndarray:
    """Holm's adjustment of one family of (N,) p-values: below 5% where the step-down test at 5% rejects.

    The k-th smallest of m is multiplied by m - k + 1, is not below those before it, and not above 1.
    """
    order = np.argsort(p_values, kind="stable")
    steps = np.asarray(p_values, np.float64)[order] * np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def _tested(estimate: Estimate, errors: Sequence[Error]) -> Estimate:
    """Add p: how often a t as far from zero as this comes, were the difference zero; the largest of the errors'."""
    from scipy.special import stdtr

    if not errors:
        return estimate
    found = []
    for error in errors:
        half = (estimate.value + half_width([error])) - estimate.value  # as far as it shows beside the value
        if half == 0:
            found.append(1.0 if estimate.value == 0 else 0.0)
        else:
            t = abs(estimate.value) / half * quantile(error.freedom)
            found.append(float(2 * stdtr(error.freedom, -t)))
    return replace(estimate, p=max(found))
