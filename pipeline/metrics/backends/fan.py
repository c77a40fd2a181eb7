"""FAN's 2-D landmarks as a backend: AKD of the voxceleb profile (pipeline/trackers/fan.py).

A frame without a detected face reads as NaN, so its pair counts as failed.
"""

import numpy as np

from pipeline.metrics.protocols import Opening
from pipeline.store.closure import code_sha256
from pipeline.store.provenance import sha256_text
from pipeline.trackers.fan import LandmarkFinder, find_fan


class Fan:
    """Reading: `landmarks_px` (N, 136), pixel centres at half integers (the package's integers + 0.5)."""

    name = "fan"

    def __init__(self, finder: LandmarkFinder, weights_sha256: str) -> None:
        self.finder = finder
        self.weights_sha256 = weights_sha256
        self.fingerprint = sha256_text(finder.fingerprint, code_sha256("pipeline.metrics.backends.fan"))

    @classmethod
    def open(cls, opening: Opening) -> "Fan":
        """Load the imported landmark and detector weights, or say how to get them (AssetMissing)."""
        finder = find_fan(opening.device)
        return cls(finder, finder.weights_sha256)

    def observe(self, frames_u8: np.ndarray) -> dict[str, np.ndarray]:
        """Read (N, H, W, 3) uint8 RGB frames."""
        return {"landmarks_px": self.finder.look(frames_u8).landmarks_px.reshape(len(frames_u8), -1)}
