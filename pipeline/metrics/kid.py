"""Kernel distance of pooled features (KID, Binkowski et al. 2018), a further column on FID's features."""

import numpy as np

from pipeline.metrics.protocols import Backend, Size

DEGREE = 3
ROWS = 1024  # of a block of the kernel's matrix


class KernelDistance:
    """KID: generated images against the images that FID compares them with."""

    name = "kid"
    label = "KID"
    reading = "pooled"
    higher_is_better = False
    digits = 4
    against = {"same": "target", "cross": "source"}
    of_sets = True
    features_of = "fid"

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    @classmethod
    def metric_id(cls, backend_name: str, head: str, size_hw: Size) -> str:
        """E.g. `kid[puppet_judge]`."""
        return f"kid[{backend_name}]"

    def compare(self, generated: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Refused: KID compares sets."""
        raise TypeError("KID compares two sets of images: use distance()")

    @staticmethod
    def distance(generated: np.ndarray, reference: np.ndarray) -> float:
        """Distance of two sets of features; see `kernel_distance`."""
        return kernel_distance(generated, reference)


def kernel_distance(features_a: np.ndarray, features_b: np.ndarray) -> float:
    """Unbiased squared MMD of (N, D) and (M, D) features in float64, by the kernel (x y / D + 1)^3.

    All images make one estimate: no subsets are drawn, so that nothing depends on a seed. For independent draws its
    expectation does not depend on N and M, and is zero where both are of one distribution. Where rows belong together
    in pairs, as a generated image and its target, it lies below that by a share of 1 / N of what they have in common:
    for two copies of one set it is below zero.

    Returns:
        The distance, NaN when a set has fewer than two rows.
    """
    a, b = np.asarray(features_a, np.float64), np.asarray(features_b, np.float64)
    if len(a) < 2 or len(b) < 2:
        return float("nan")
    within = sum((_kernel_sum(x, x) - _of_itself(x).sum()) / (len(x) * (len(x) - 1)) for x in (a, b))
    return float(within - 2 * _kernel_sum(a, b) / (len(a) * len(b)))


def _kernel_sum(a: np.ndarray, b: np.ndarray) -> float:
    """Sum of the kernel over all pairs of rows, some rows at a time."""
    parts = (a[start : start + ROWS] @ b.T / a.shape[1] + 1 for start in range(0, len(a), ROWS))
    return float(sum((part**DEGREE).sum() for part in parts))


def _of_itself(features: np.ndarray) -> np.ndarray:
    """The kernel (N,) of each row with itself, which an unbiased estimate leaves out."""
    found: np.ndarray = (np.square(features).sum(1) / features.shape[1] + 1) ** DEGREE
    return found
