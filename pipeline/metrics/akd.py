"""Average keypoint distance (AKD, supplementary 3; reduction of AliaksandrSiarohin/pose-evaluation)."""

import numpy as np

from pipeline.metrics.protocols import Backend, Size


class KeypointDistance:
    """AKD: mean absolute difference over the 136 coordinates of 68 landmarks, in pixels of the clip.

    Convention: per coordinate, not per point (a Euclidean reading is up to twice as large). Same identity
    only, because landmarks carry the person's own face shape.
    """

    name = "akd"
    label = "AKD"
    reading = "landmarks_px"
    higher_is_better = False
    digits = 2
    against = {"same": "target"}
    of_sets = False

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    @classmethod
    def metric_id(cls, backend_name: str, head: str, size_hw: Size) -> str:
        """E.g. `akd_px[puppet_judge,64]`; a frame that is not square reads `HxW`."""
        height, width = size_hw
        return f"akd_px[{backend_name},{height if height == width else f'{height}x{width}'}]"

    def compare(self, generated: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Mean |difference| of (N, 136) coordinates, pixels."""
        return np.abs(np.asarray(generated, np.float64) - np.asarray(reference, np.float64)).mean(1)
