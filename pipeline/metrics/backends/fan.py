"""FAN's 2-D landmarks as a backend: AKD of the voxceleb profile (pipeline/trackers/fan.py).

A frame without a detected face reads as NaN, so its pair counts as failed.
"""

from collections.abc import Mapping

import numpy as np

from pipeline.metrics.protocols import Opening
from pipeline.store.closure import code_sha256
from pipeline.store.provenance import sha256_text
from pipeline.trackers.fan import Faces, LandmarkFinder, find_fan


class Fan:
    """Readings of a face.

    `landmarks_px` (N, 136): pixel centres at half integers, the package's integers + 0.5. `score` (N, 1).
    """

    name = "fan"

    def __init__(self, finder: LandmarkFinder) -> None:
        self.finder = finder
        self.weights_sha256 = finder.weights_sha256
        self.fingerprint = sha256_text(finder.fingerprint, code_sha256("pipeline.metrics.backends.fan"))

    @classmethod
    def open(cls, opening: Opening) -> "Fan":
        """Load the imported landmark and detector weights, or say how to get them (AssetMissing)."""
        return cls(find_fan(opening.device))

    def observe(self, frames_u8: np.ndarray) -> dict[str, np.ndarray]:
        """Read (N, H, W, 3) uint8 RGB frames."""
        faces = self.finder.look(frames_u8)
        return {"landmarks_px": faces.landmarks_px.reshape(len(frames_u8), -1), "score": faces.score[:, None]}


def faces_of(seen: Mapping[str, np.ndarray]) -> Faces:
    """The faces that FAN's readings hold."""
    return Faces(seen["landmarks_px"].reshape(-1, 68, 2), seen["score"][:, 0])
