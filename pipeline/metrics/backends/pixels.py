"""The backend of metrics that compare pixels: nothing to load, nothing to read."""

import numpy as np

from pipeline.metrics.protocols import Opening


class Pixels:
    """Gives no readings; L1 and SSIM get the frames themselves."""

    name = "pixels"
    fingerprint = "pixels"
    weights_sha256 = ""

    @classmethod
    def open(cls, opening: Opening) -> "Pixels":
        """Nothing to load."""
        return cls()

    def observe(self, frames_u8: np.ndarray) -> dict[str, np.ndarray]:
        """No readings."""
        return {}
