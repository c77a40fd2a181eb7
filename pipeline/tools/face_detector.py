"""FAN's face detector S3FD, which FOMM's tool cuts its tubes with (crop_vox.py), on imported weights."""

from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np


class FaceDetector(Protocol):
    """Finds faces."""

    def __call__(self, frame_u8: np.ndarray) -> np.ndarray:
        """Return the boxes of the faces in an (H, W, 3) uint8 RGB frame, (N, 4) px: left, top, right, bottom."""
        ...


class S3fd:
    """S3FD as face-alignment 1.5 runs it (BSD-3): score above 0.5, overlaps above 0.3 suppressed.

    The network sees frames at their own size, in BGR: crop_vox.py turns its frames around, the package now does.
    """

    def __init__(self, weights: Path) -> None:
        from face_alignment.detection.sfd.sfd_detector import SFDDetector

        self._detector = SFDDetector("cpu", path_to_detector=str(weights))

    def __call__(self, frame_u8: np.ndarray) -> np.ndarray:
        """Find faces; see `FaceDetector`."""
        found = self._detector.detect_from_image(np.ascontiguousarray(frame_u8))
        return np.array([box[:4] for box in found], np.float64).reshape(-1, 4)


@lru_cache(maxsize=1)
def open_s3fd(weights: Path) -> S3fd:
    """Load the detector once a process."""
    return S3fd(weights)
