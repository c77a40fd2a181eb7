"""Whether intervals of means cover: draw people anew, often, and count the intervals that hold the truth."""

import numpy as np

from pipeline.report.intervals.clusters import Clusters
from pipeline.report.intervals.estimates import quantile

# The coverage that intervals must have where people's effects are resampled: of fewer people than FEW, and of more.
FEW, LEAST_OF_FEW, LEAST = 20, 0.90, 0.92


def covered(values: np.ndarray, truth: float, clusters: Clusters) -> float:
    """Share of the intervals of (N, trials) values that hold the truth."""
    half = quantile(clusters.num_people) * np.sqrt(clusters.variance(values))
    return float((np.abs(values.mean(0) - truth) <= half).mean())


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
