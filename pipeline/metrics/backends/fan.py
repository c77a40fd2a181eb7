"""FAN's 2-D landmarks (face-alignment 1.5, BSD-3): AKD of the voxceleb profile.

Quirks kept: landmarks are truncated to whole pixels of the input image by the package, and the first
detected face counts. A frame without a detected face reads as NaN, so its pair counts as failed.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.assets import require
from pipeline.metrics.protocols import Opening
from pipeline.provenance import sha256_file, sha256_sources, sha256_text

NUM_COORDINATES = 136


class Fan:
    """Reading: `landmarks_px` (N, 136), pixel centres at half integers (the package's integers + 0.5)."""

    name = "fan"

    def __init__(self, fan: Path, s3fd: Path, device: str) -> None:
        self.net = _open_face_alignment(fan, s3fd, device)
        self.weights_sha256 = sha256_file(fan)
        self.fingerprint = sha256_text(self.weights_sha256, sha256_file(s3fd), sha256_sources([Path(__file__)]))

    @classmethod
    def open(cls, opening: Opening) -> "Fan":
        """Load the imported landmark and detector weights, or say how to get them (AssetMissing)."""
        return cls(require("fan"), require("s3fd"), opening.device)

    def observe(self, frames_u8: np.ndarray) -> dict[str, np.ndarray]:
        """Read (N, H, W, 3) uint8 RGB frames one by one, as the package does."""
        found = np.full((len(frames_u8), NUM_COORDINATES), np.nan, np.float32)
        for row, frame in enumerate(frames_u8):
            faces = self.net.get_landmarks_from_image(np.ascontiguousarray(frame))
            if faces:
                found[row] = np.asarray(faces[0], np.float32)[:, :2].reshape(-1) + 0.5
        return {"landmarks_px": found}


def _open_face_alignment(fan: Path, s3fd: Path, device: str) -> Any:
    """Build the package's aligner with weights by path; the package itself would fetch them."""
    from face_alignment import FaceAlignment, LandmarksType
    from face_alignment.models import FAN

    class AlignerByPath(FaceAlignment):
        def _load_native(self, network_name: str, network_size: int, device: str, dtype: torch.dtype) -> FAN:
            net = FAN(network_size)
            net.load_state_dict(torch.load(fan, map_location=device, weights_only=True))
            return net.to(device, dtype=dtype).eval()

    detector = {"path_to_detector": str(s3fd)}
    return AlignerByPath(
        LandmarksType.TWO_D, device=device, flip_input=False, face_detector_kwargs=detector, compile=False
    )
