"""The tracker `mesh`: least squares on the 68 landmarks that the face mesh sees; any head with 68 of them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from model.frame.coords import px_to_ndc
from model.heads.head import HeadModel
from pipeline.instruments.mesh_reader import MeshFaces, MeshReader, open_mesh
from pipeline.instruments.sixty_eight import to_68
from pipeline.params.fitting import FitParams
from pipeline.store.closure import code_sha256
from pipeline.store.provenance import sha256_text
from pipeline.trackers.landmark_rows import LandmarkRows
from pipeline.trackers.protocol import ClipInfo, FitRows


class MeshTracker:
    """Fits real and generated frames alike.

    Convention: a clip's frames are read as a video, each where the last one's face was, and share an identity; single
    images are read and fitted each by itself. The score is the mesh's presence.
    """

    def __init__(self, head: HeadModel, params: FitParams, reader: MeshReader) -> None:
        self.head, self.params, self.reader = head, params, reader
        self.rows = LandmarkRows(head, params.landmark_fit)
        self.weights_sha256 = reader.weights_sha256
        settings = params.model_dump(exclude={"tracker", "second_tracker", "max_fail_rate"})
        code = code_sha256("pipeline.trackers.mesh")
        self.fingerprint = sha256_text(head.sha256, reader.fingerprint, settings, code)

    @classmethod
    def open(
        cls, head: HeadModel, params: FitParams, folders: Mapping[str, Path], device: torch.device
    ) -> "MeshTracker":
        """Open the imported networks (see `Tracker.open`)."""
        return cls(head, params, open_mesh(device))

    def fit_clip(self, frames_u8: np.ndarray, info: ClipInfo) -> FitRows:
        """Fit the frames (T, H, W, 3) uint8 RGB of one clip; nothing but the images is used."""
        seen = list(self.reader.follow(frames_u8))
        points = np.concatenate([face.points_px for face in seen])
        faces = MeshFaces(points, np.concatenate([face.presence for face in seen]))
        return self._fitted(faces, frames_u8.shape[1:3], one_person=True)

    def fit_images(self, frames_u8: np.ndarray) -> FitRows:
        """Fit (N, H, W, 3) uint8 RGB images, each by itself."""
        return self._fitted(self.reader.read(frames_u8), frames_u8.shape[1:3], one_person=False)

    def _fitted(self, faces: MeshFaces, size_hw: tuple[int, int], *, one_person: bool) -> FitRows:
        landmarks = px_to_ndc(torch.from_numpy(to_68(faces.points_px)).double(), size_hw)
        return self.rows.of_frames(landmarks, faces.presence, faces.found, self.params, one_person=one_person)
