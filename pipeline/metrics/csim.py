"""Cosine similarity of identity embeddings (CSIM, supplementary 3)."""

import numpy as np

from pipeline.metrics.protocols import Backend, Size


class CosineSimilarity:
    """CSIM: against the target (same identity) or the source (cross identity).

    Convention: the backend aligns every image by that image's own landmarks to one fixed template; nothing
    is aligned to the other image (notes on section 12: that would make the cross-identity value depend on pose).
    """

    name = "csim"
    label = "CSIM"
    reading = "embedding"
    higher_is_better = True
    digits = 3
    against = {"same": "target", "cross": "source"}
    of_sets = False

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    @classmethod
    def metric_id(cls, backend_name: str, head: str, size_hw: Size) -> str:
        """E.g. `csim[puppet_judge]`."""
        return f"csim[{backend_name}]"

    def compare(self, generated: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Cosine of (N, E) and (N, E) embeddings of any length, in [-1, 1]."""
        a, b = np.asarray(generated, np.float64), np.asarray(reference, np.float64)
        return (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))


class DriverSimilarity(CosineSimilarity):
    """CSIM to the driving image, cross identity: how much of the driver's identity leaks into what is generated."""

    name = "csim_driver"
    label = "CSIM to driver"
    higher_is_better = False
    against = {"cross": "driving"}

    @classmethod
    def metric_id(cls, backend_name: str, head: str, size_hw: Size) -> str:
        """E.g. `csim_driver[puppet_judge]`."""
        return f"csim_driver[{backend_name}]"
