"""Frechet distance of pooled features (FID, supplementary 3; statistics as in mseitzer/pytorch-fid)."""

import numpy as np

from pipeline.metrics.protocols import Backend, Size


class FrechetDistance:
    """FID: generated images against targets (same identity) or against the SOURCE images (cross identity)."""

    name = "fid"
    label = "FID"
    reading = "pooled"
    higher_is_better = False
    digits = 2
    against = {"same": "target", "cross": "source"}
    of_sets = True

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    @classmethod
    def metric_id(cls, backend_name: str, head: str, size_hw: Size) -> str:
        """E.g. `fid[puppet_judge]`."""
        return f"fid[{backend_name}]"

    def compare(self, generated: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Refused: FID compares sets."""
        raise TypeError("FID compares two sets of images: use distance()")

    @staticmethod
    def distance(generated: np.ndarray, reference: np.ndarray) -> float:
        """Distance of two sets of features; see `frechet_distance`."""
        return frechet_distance(generated, reference)


def frechet_distance(features_a: np.ndarray, features_b: np.ndarray) -> float:
    """Frechet distance of two Gaussians fitted to (N, D) and (M, D) features, in float64.

    |mu_a - mu_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)) with unbiased covariances. The last trace is the sum
    of square roots of the eigenvalues of S_a^(1/2) S_b S_a^(1/2), which is symmetric, so a singular
    covariance (fewer images than features) needs no offset.

    Returns:
        The distance, NaN when a set has fewer than two rows.
    """
    a, b = np.asarray(features_a, np.float64), np.asarray(features_b, np.float64)
    if len(a) < 2 or len(b) < 2:
        return float("nan")
    mean_a, cov_a = a.mean(0), np.atleast_2d(np.cov(a, rowvar=False))
    mean_b, cov_b = b.mean(0), np.atleast_2d(np.cov(b, rowvar=False))
    values, vectors = np.linalg.eigh(cov_a)
    root_a = (vectors * np.sqrt(values.clip(min=0.0))) @ vectors.T
    cross = np.linalg.eigvalsh(root_a @ cov_b @ root_a).clip(min=0.0)
    gap = mean_a - mean_b
    return float(gap @ gap + np.trace(cov_a) + np.trace(cov_b) - 2.0 * np.sqrt(cross).sum())
