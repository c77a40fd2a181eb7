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

    |mu_a - mu_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)) with unbiased covariances. With S = R^T R from a QR
    factorisation of the centred features, the eigenvalues of S_a S_b are the squared singular values of
    R_a R_b^T, so the last trace is their sum: no root of a rounding error, also where a covariance is
    singular (fewer images than features).

    Returns:
        The distance, NaN when a set has fewer than two rows. Zero where it lies within rounding of zero, as for two
        orders of the same images: the sum of D singular values of a factor times a factor is good to D rounding errors
        of the traces.
    """
    a, b = np.asarray(features_a, np.float64), np.asarray(features_b, np.float64)
    if len(a) < 2 or len(b) < 2:
        return float("nan")
    factor_a, factor_b = _covariance_factor(a), _covariance_factor(b)
    gap = a.mean(0) - b.mean(0)
    cross = np.linalg.svd(factor_a @ factor_b.T, compute_uv=False).sum()
    traces = np.square(factor_a).sum() + np.square(factor_b).sum()
    distance = float(gap @ gap + np.square(factor_a).sum() + np.square(factor_b).sum() - 2.0 * cross)
    rounding = a.shape[1] * np.finfo(np.float64).eps * traces
    return 0.0 if abs(distance) <= rounding else distance


def _covariance_factor(features: np.ndarray) -> np.ndarray:
    """R (min(N, D), D) with R^T R the unbiased covariance of (N, D) features."""
    centred = (features - features.mean(0)) / np.sqrt(len(features) - 1)
    return np.asarray(np.linalg.qr(centred, mode="r"))
