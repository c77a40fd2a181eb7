"""Perceptual distance (LPIPS, Table 2; Zhang et al. 2018)."""

from typing import Protocol

import numpy as np

from pipeline.metrics.protocols import PIXELS, Backend, Size


class PerceptualBackend(Backend, Protocol):
    """A backend that compares feature maps of two images itself: they are too large to be kept as readings."""

    def perceptual_distance(self, generated: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Distances (N,) of frames (N, H, W, 3) uint8."""
        ...


class PerceptualDistance:
    """LPIPS: distance of unit-normalised feature maps, same identity only.

    Choice: the paper does not name its backbone; the metric id does.
    """

    name = "lpips"
    label = "LPIPS"
    reading = PIXELS
    higher_is_better = False
    digits = 3
    against = {"same": "target"}
    of_sets = False

    def __init__(self, backend: PerceptualBackend) -> None:
        self.backend = backend

    @classmethod
    def metric_id(cls, backend_name: str, head: str, size_hw: Size) -> str:
        """E.g. `lpips[puppet_judge]`."""
        return f"lpips[{backend_name}]"

    def compare(self, generated: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Compare (N, H, W, 3) uint8 frames through the backend's `perceptual_distance`."""
        return self.backend.perceptual_distance(generated, reference)
