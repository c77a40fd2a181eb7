"""Whether intervals of means cover: draw people anew, often, and count the intervals that hold the truth."""

from collections.abc import Sequence

import numpy as np

from pipeline.report.intervals.clusters import Clusters
from pipeline.report.intervals.seeds import errors_of, half_width

# The coverage that intervals must have where people's effects are resampled: of fewer people than FEW, and of more.
FEW, LEAST_OF_FEW, LEAST = 20, 0.90, 0.92


def covered(values: np.ndarray, truth: float, clusters: Clusters) -> float:
    """Share of the intervals of (N, trials) values that hold the truth."""
    return covered_by_seeds([values[None]], truth, clusters)


def covered_by_seeds(rows: Sequence[np.ndarray], truth: float, clusters: Clusters) -> float:
    """The same of one row's (seeds, N, trials) values, or of the difference of two rows'."""
    of_pairs, *subtracted = (of_row.mean(0) for of_row in rows)
    values = of_pairs - subtracted[0] if subtracted else of_pairs
    errors = errors_of(clusters.variance(values), clusters.num_people, [of_row.mean(1) for of_row in rows])
    return float((np.abs(values.mean(0) - truth) <= half_width(errors)).mean())


def normal_coverage(
    clusters: Clusters, deviations: tuple[float, float, float, float], role_correlation: float, trials: int, seed: int
) -> float:
    """Coverage for normal effects.

    Args:
        clusters: the design: who is paired with whom.
        deviations: of the effect of a source, of a driver, of two people together, and of a pair.
        role_correlation: between a person's effects as source and as driver.
        trials: data sets drawn.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    of_source, of_driver, of_two, of_pair = deviations
    a, b = rng.standard_normal((2, clusters.everyone, trials))
    b = role_correlation * a + np.sqrt(1 - role_correlation**2) * b
    values = of_source * a[clusters.source] + of_driver * b[clusters.driver]
    low, high = np.minimum(clusters.source, clusters.driver), np.maximum(clusters.source, clusters.driver)
    _, two = np.unique(low * clusters.everyone + high, return_inverse=True)
    values += of_two * rng.standard_normal((two.max() + 1, trials))[two]
    return covered(values + of_pair * rng.standard_normal(values.shape), 0.0, clusters)


def seed_coverage(
    clusters: Clusters, deviations: tuple[float, float, float], seeds: Sequence[int], trials: int, seed: int
) -> float:
    """Coverage of the expectation over people and trainings, for normal effects and same identity.

    Args:
        clusters: the design.
        deviations: of the effects of a training, of a person and training together, and of a pair; a person's is 1.
        seeds: how many seeds the row has, or each of two rows of which the difference is taken.
        trials: data sets drawn.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    of_training, of_both, of_pair = deviations
    person = rng.standard_normal((clusters.everyone, trials))
    rows = []
    for row, count in enumerate(seeds):
        trained = of_training * rng.standard_normal((count, 1, trials))
        together = of_both * rng.standard_normal((count, clusters.everyone, trials))
        pair = of_pair * rng.standard_normal((count, clusters.num_pairs, trials))
        rows.append((trained + together + (person if row == 0 else 0.0))[:, clusters.source] + pair)
    return covered_by_seeds(rows, 0.0, clusters)


def resampled_coverage(
    clusters: Clusters, effects: np.ndarray, residuals: np.ndarray, trials: int, seed: int = 0
) -> float:
    """Coverage where the people of the design are drawn, with replacement, from real people's effects.

    Args:
        clusters: the design: who is paired with whom.
        effects: (people, 2) as source and as driver (`Clusters.effects`), of any number of people.
        residuals: (M,) of pairs, drawn with replacement as well.
        trials: data sets drawn.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(effects), size=(clusters.everyone, trials))
    values = effects[drawn, 0][clusters.source]
    if effects[:, 1].any():
        values = values + effects[drawn, 1][clusters.driver]
    if residuals.any():
        values = values + residuals[rng.integers(len(residuals), size=values.shape)]
    return covered(values, float(effects.sum(1).mean()), clusters)


def least(people: int) -> float:
    """The coverage that intervals over so many resampled people must have."""
    return LEAST_OF_FEW if people < FEW else LEAST
