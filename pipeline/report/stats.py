"""Error bars: people are the unit, because frames of one person are no independent evidence.

Means: percentile bootstrap over source people. FID: delete-one-person jackknife, since resampling with
replacement biases a covariance. Differences between two methods keep pairs together.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A number with its interval.

    Attributes:
        value: NaN when nothing could be measured.
        low, high: 95% interval, NaN when there are too few people.
        n: pairs in the number.
        n_failed: pairs left out because an image could not be read.
        n_people: source people in the number.
    """

    value: float
    low: float
    high: float
    n: int
    n_failed: int
    n_people: int


@dataclass(frozen=True)
class Resampling:
    """How intervals are drawn (section `report` of params.yaml)."""

    draws: int
    seed: int
    min_people: int


def estimate_mean(values: np.ndarray, people: Sequence[str], how: Resampling) -> Estimate:
    """Mean of (N,) values with a percentile bootstrap over people; NaN values are failed pairs."""
    values = np.asarray(values, np.float64)
    ok = np.isfinite(values)
    n, n_failed = int(ok.sum()), int((~ok).sum())
    if n == 0:
        return Estimate(np.nan, np.nan, np.nan, 0, n_failed, 0)
    _, owner = np.unique(np.asarray(people)[ok], return_inverse=True)
    num_people = int(owner.max()) + 1
    low, high = np.nan, np.nan
    if num_people >= how.min_people:
        sums, counts = np.bincount(owner, values[ok]), np.bincount(owner)
        low, high = np.quantile(bootstrap_means(sums, counts, how), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(values[ok].mean()), float(low), float(high), n, n_failed, num_people)


def bootstrap_means(sums: np.ndarray, counts: np.ndarray, how: Resampling) -> np.ndarray:
    """Means (draws,) of resampled people, given each person's sum and number of values."""
    people = len(sums)
    rng = np.random.default_rng(how.seed)
    drawn = rng.multinomial(people, np.full(people, 1 / people), size=how.draws)  # (draws, people)
    return (drawn @ sums) / (drawn @ counts)


def estimate_distance(
    distance: Callable[[np.ndarray, np.ndarray], float],
    generated: np.ndarray,
    reference: np.ndarray,
    people: Sequence[str],
    how: Resampling,
) -> Estimate:
    """Distance of two sets of (N, D) features, row i of both from pair i, with a jackknife over people.

    The interval is value +- t * standard error with t of (people - 1) degrees of freedom, not below zero.
    """
    ok = np.isfinite(generated).all(1) & np.isfinite(reference).all(1)
    generated, reference, owner = generated[ok], reference[ok], np.asarray(people)[ok]
    value = distance(generated, reference)
    names = np.unique(owner)
    low, high = np.nan, np.nan
    if len(names) >= how.min_people:
        left_out = [distance(generated[owner != p], reference[owner != p]) for p in names]
        half = jackknife_half_width(np.array(left_out))
        low, high = max(value - half, 0.0), value + half
    return Estimate(float(value), float(low), float(high), int(ok.sum()), int((~ok).sum()), len(names))


def jackknife_half_width(left_out: np.ndarray) -> float:
    """Half width of the 95% interval from the (people,) values with one person left out each."""
    from scipy.special import stdtrit

    people = len(left_out)
    error = np.sqrt((people - 1) / people * np.square(left_out - left_out.mean()).sum())
    return float(stdtrit(people - 1, (1 + LEVEL) / 2) * error)


def paired_difference(values_a: np.ndarray, values_b: np.ndarray, people: Sequence[str], how: Resampling) -> Estimate:
    """Mean of a - b over the same pairs, resampled over people; a pair that failed in either is left out."""
    return estimate_mean(np.asarray(values_a, np.float64) - np.asarray(values_b, np.float64), people, how)


def paired_distance_difference(
    distance: Callable[[np.ndarray, np.ndarray], float],
    generated_a: np.ndarray,
    generated_b: np.ndarray,
    reference: np.ndarray,
    people: Sequence[str],
    how: Resampling,
) -> Estimate:
    """Distance of a minus distance of b to the same reference, with a jackknife of the difference."""
    ok = np.isfinite(np.concatenate([generated_a, generated_b, reference], 1)).all(1)
    a, b, reference, owner = generated_a[ok], generated_b[ok], reference[ok], np.asarray(people)[ok]
    value = distance(a, reference) - distance(b, reference)
    names = np.unique(owner)
    low, high = np.nan, np.nan
    if len(names) >= how.min_people:
        kept = [owner != p for p in names]
        left_out = [distance(a[k], reference[k]) - distance(b[k], reference[k]) for k in kept]
        half = jackknife_half_width(np.array(left_out))
        low, high = value - half, value + half
    return Estimate(float(value), float(low), float(high), int(ok.sum()), int((~ok).sum()), len(names))
