"""A tracker that fits each frame by itself with a `FaceReader`: what `deca` and `deep3d` have in common."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from model.heads.head import HeadModel
from model.trackers.landmark_head import LandmarkHead
from pipeline.params.fitting import FitParams
from pipeline.store.closure import code_sha256
from pipeline.store.provenance import sha256_text
from pipeline.trackers.face_reader import FaceReader
from pipeline.trackers.fan import Faces
from pipeline.trackers.protocol import OK, ClipInfo, FitRows, judge, landmark_residual


class FaceTracker:
    """Fits real and generated frames alike.

    Attributes:
        reader_class: what reads the head.
    """

    reader_class: ClassVar[type[FaceReader]]

    def __init__(self, reader: FaceReader, params: FitParams) -> None:
        self.reader, self.params = reader, params
        self.head = reader.head
        self.reduced = LandmarkHead(reader.head, ("root",))
        self.weights_sha256 = reader.weights_sha256
        thresholds = (params.min_score, params.max_residual)
        self.fingerprint = sha256_text(reader.fingerprint, thresholds, code_sha256(type(self).__module__))

    @classmethod
    def open(
        cls, head: HeadModel, params: FitParams, folders: Mapping[str, Path], device: torch.device
    ) -> "FaceTracker":
        """Load the imported weights (see `Tracker.open` and `FaceReader.open`)."""
        return cls(cls.reader_class.open(head, device), params)

    def fit_clip(self, frames_u8: np.ndarray, info: ClipInfo) -> FitRows:
        """Fit the frames of a clip; nothing but the images is used."""
        return self.fit_images(frames_u8)

    def fit_images(self, frames_u8: np.ndarray) -> FitRows:
        """Fit (N, H, W, 3) uint8 RGB images."""
        return self._fit(frames_u8, self.reader.finder.look(frames_u8))

    @property
    def finder_fingerprint(self) -> str:
        """Hash of all that the faces depend on: trackers of several heads share those of one finder."""
        return self.reader.finder.fingerprint

    def find_faces(self, frames_u8: np.ndarray) -> dict[str, np.ndarray]:
        """Find the face of each image; see `SeesFaces`."""
        return vars(self.reader.finder.look(frames_u8))

    def fit_faces(self, frames_u8: np.ndarray, seen: Mapping[str, np.ndarray]) -> FitRows:
        """Fit images whose faces are known; see `SeesFaces`."""
        return self._fit(frames_u8, Faces(**seen))

    def _fit(self, frames_u8: np.ndarray, faces: Faces) -> FitRows:
        rows = self.reader.read_faces(frames_u8, faces, self.params.min_score)
        read = [row for row, status in enumerate(rows.status) if status == OK]
        if read:
            landmarks = torch.from_numpy(rows.landmarks[read])
            rows.residual[read] = landmark_residual(self.reduced, rows.fit[read], landmarks)
            for row, status in zip(read, judge(rows.score[read], rows.residual[read], self.params), strict=True):
                rows.status[row] = status
        return rows
