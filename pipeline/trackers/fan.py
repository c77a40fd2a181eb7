"""FAN's 68 landmarks (face-alignment 1.5, BSD-3) on imported weights: what trackers and metrics see a face by.

Quirks kept: landmarks are truncated to whole pixels of the image by the package, and the first face counts, which is
the one that the detector S3FD is surest of. Faces that it scores 0.5 or less are none.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from pipeline.store.assets import hash_of, require
from pipeline.store.closure import code_sha256
from pipeline.store.compute.devices import full_precision
from pipeline.store.provenance import sha256_text

HALF_PX = 0.5  # from the package's whole pixels to the pixels' centres


@dataclass(frozen=True)
class Faces:
    """The face of each of N images.

    Attributes:
        landmarks_px: (N, 68, 2) float32, edge-aligned; NaN where no face was found.
        score: (N,) float32, the detector's, 0 to 1; NaN where no face was found.
    """

    landmarks_px: np.ndarray
    score: np.ndarray

    @property
    def found(self) -> np.ndarray:
        """(N,) bool."""
        return np.isfinite(self.score)


class LandmarkFinder(Protocol):
    """Finds landmarks.

    Attributes:
        fingerprint: hash of all that they depend on.
    """

    fingerprint: str

    def look(self, frames_u8: np.ndarray) -> Faces:
        """Find the face of each (H, W, 3) uint8 RGB frame of (N, H, W, 3)."""
        ...


class FanLandmarks:
    """FAN on the faces of S3FD; a `LandmarkFinder`."""

    def __init__(self, fan: Path, s3fd: Path, device: torch.device) -> None:
        self.net, self.device = _open_face_alignment(fan, s3fd, device), device
        self.weights_sha256 = hash_of(fan)
        code = code_sha256("pipeline.trackers.fan")
        self.fingerprint = sha256_text(self.weights_sha256, hash_of(s3fd), device.type, code)

    def look(self, frames_u8: np.ndarray) -> Faces:
        """Look at frames one by one, as the package does; see `LandmarkFinder`."""
        count = len(frames_u8)
        faces = Faces(np.full((count, 68, 2), np.nan, np.float32), np.full(count, np.nan, np.float32))
        for row, frame in enumerate(frames_u8):
            image = np.ascontiguousarray(frame)
            with full_precision(self.device):
                landmarks, _, boxes = self.net.get_landmarks_from_image(image, return_bboxes=True)
            if landmarks:
                faces.landmarks_px[row] = np.asarray(landmarks[0], np.float32)[:, :2] + HALF_PX
                faces.score[row] = boxes[0][4]
        return faces


def find_fan(device: torch.device) -> FanLandmarks:
    """Open FAN and S3FD as they were imported, once a process.

    Raises:
        AssetMissing: either has not been imported.
    """
    return _open_fan(require("fan"), require("s3fd"), device)


@lru_cache(maxsize=1)
def _open_fan(fan: Path, s3fd: Path, device: torch.device) -> FanLandmarks:
    return FanLandmarks(fan, s3fd, device)


def _open_face_alignment(fan: Path, s3fd: Path, device: torch.device) -> Any:
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
        LandmarksType.TWO_D, device=str(device), flip_input=False, face_detector_kwargs=detector, compile=False
    )
