"""Mean absolute pixel error (L1, Table 2), on the 0-255 scale as the paper's values show."""

import numpy as np

from pipeline.metrics.protocols import PIXELS, Backend, Size


class AbsoluteError:
    """L1: mean over pixels and channels of |difference|, grey levels 0-255; same identity only."""

    name = "l1"
    label = "L1"
    reading = PIXELS
    higher_is_better = False
    digits = 2
    against = {"same": "target"}
    of_sets = False

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    @classmethod
    def metric_id(cls, backend_name: str, head: str, size_hw: Size) -> str:
        """Always `l1[0-255]`."""
        return "l1[0-255]"

    def compare(self, generated: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Compare (N, H, W, 3) uint8 frames."""
        pairs = zip(generated, reference, strict=True)
        return np.array([np.abs(a.astype(np.int16) - b.astype(np.int16)).mean(dtype=np.float64) for a, b in pairs])
