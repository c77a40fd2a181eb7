"""Faces read by BlazeFace and the face mesh, as MediaPipe does: where the face is, then twice its 468 points.

A single image: the surest face of the detector gives the square in which the mesh looks; its points give a better one,
in which it looks again. A video: the points of one frame say where to look in the next, once; where no face is seen
there, the frame is read as a single image.
Source: mediapipe 0.10.21, modules/face_landmark (face_detection_front_detection_to_roi.pbtxt,
face_landmark_landmarks_to_roi.pbtxt: squares of 1.5 times the longer side, turned by the eyes; presence 0.5).
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from model.instruments import blazeface, face_mesh
from pipeline.instruments.runners import Port, Runner, open_runner
from pipeline.instruments.squares import Square, cut, place
from pipeline.store.assets import hash_of, require
from pipeline.store.closure import code_sha256
from pipeline.store.provenance import sha256_text

MIN_PRESENCE = 0.5
EYE_CORNERS = (33, 263)  # outer ones, the person's right and left
_LARGER = 1.5
_DETECTOR = Port(blazeface.BlazeFace, blazeface.convert, (896 * 16, 896))
_MESH = Port(face_mesh.FaceMesh, face_mesh.convert, (3 * face_mesh.NUM_POINTS, 1))


@dataclass(frozen=True)
class MeshFaces:
    """The face of each of N images.

    Attributes:
        points_px: (N, 468, 3) float32: x, y in px of the image, edge-aligned, z in the same px, towards the camera
            negative; NaN where no face was found.
        presence: (N,) float32, how sure the mesh is of it, 0 to 1; NaN where the detector found none.
    """

    points_px: np.ndarray
    presence: np.ndarray

    @property
    def found(self) -> np.ndarray:
        """(N,) bool."""
        return np.isfinite(self.points_px).all((1, 2))


class MeshReader:
    """Reads faces.

    Attributes:
        weights_sha256: of the mesh's file.
        fingerprint: hash of all that its readings depend on, the runner included.
    """

    def __init__(self, detector: Runner, mesh: Runner, files: Sequence[Path], device: torch.device) -> None:
        self.detector, self.mesh = detector, mesh
        self.weights_sha256 = hash_of(files[1])
        runners = (detector.name, mesh.name, device.type)
        code = code_sha256("pipeline.instruments.mesh_reader")
        self.fingerprint = sha256_text(*(hash_of(file) for file in files), runners, code)

    def read(self, frames_u8: Sequence[np.ndarray] | np.ndarray) -> MeshFaces:
        """Read single images (H, W, 3) uint8 RGB: (N, H, W, 3), or a list of any sizes."""
        faces = MeshFaces(
            np.full((len(frames_u8), face_mesh.NUM_POINTS, 3), np.nan, np.float32),
            np.full(len(frames_u8), np.nan, np.float32),
        )
        squares = {row: square for row, found in enumerate(self.detect(frames_u8)) if (square := _of_detection(found))}
        if not squares:
            return faces
        rows = list(squares)
        seen = [frames_u8[row] for row in rows]
        first, _ = self._look(seen, list(squares.values()))
        points, presence = self._look(seen, [_of_points(face) for face in first])
        faces.presence[rows] = presence
        faces.points_px[rows] = np.where((presence >= MIN_PRESENCE)[:, None, None], points, np.nan)
        return faces

    def follow(self, frames_u8: Iterable[np.ndarray]) -> Iterator[MeshFaces]:
        """Read the frames of a video one after another, (H, W, 3) uint8 RGB; one reading of one face a frame."""
        last: np.ndarray | None = None
        for frame in frames_u8:
            faces = self._followed(frame, last) if last is not None else None
            if faces is None:
                faces = self.read([frame])
            last = faces.points_px[0] if faces.found[0] else None
            yield faces

    def detect(self, frames_u8: Sequence[np.ndarray] | np.ndarray) -> list[blazeface.FoundFaces]:
        """The faces of images (H, W, 3) uint8 RGB, in px of each image."""
        squares = [Square.around(frame.shape[:2]) for frame in frames_u8]
        size = blazeface.SIZE_PX
        pictures = [cut(frame, square, size, black=True) for frame, square in zip(frames_u8, squares, strict=True)]
        if not pictures:
            return []
        raw, logits = self.detector(np.stack(pictures) / np.float32(127.5) - np.float32(1))
        return [
            blazeface.decode(numbers.reshape(-1, 16), scores).placed(square.to_image(size))
            for numbers, scores, square in zip(raw, logits, squares, strict=True)
        ]

    def _followed(self, frame: np.ndarray, last: np.ndarray) -> MeshFaces | None:
        points, presence = self._look([frame], [_of_points(last)])
        return MeshFaces(points, presence) if presence[0] >= MIN_PRESENCE else None

    def _look(self, frames: Sequence[np.ndarray], squares: Sequence[Square]) -> tuple[np.ndarray, np.ndarray]:
        """Look once into the square of each image: points (N, 468, 3) in px of the image, and presence (N,)."""
        size = face_mesh.SIZE_PX
        pictures = [cut(frame, square, size, black=False) for frame, square in zip(frames, squares, strict=True)]
        flat, logit = self.mesh(np.stack(pictures) / np.float32(255))
        points = flat.reshape(len(flat), face_mesh.NUM_POINTS, 3)
        for face, square in zip(points, squares, strict=True):
            face[:, :2] = place(face[:, :2].astype(np.float64), square.to_image(size))
            face[:, 2] *= square.side_px / size
        return points, 1 / (1 + np.exp(-logit[:, 0].astype(np.float64))).astype(np.float32)


def open_mesh(device: torch.device) -> MeshReader:
    """Open both networks as they were imported, once a process.

    Raises:
        AssetMissing: either has not been imported; the message says how.
        ValueError: a file holds another network.
    """
    return open_mesh_files(require("blazeface"), require("face_mesh"), device)


@lru_cache(maxsize=2)
def open_mesh_files(detector: Path, mesh: Path, device: torch.device, runner: str = "") -> MeshReader:
    """Open both networks from their .tflite files; see `open_runner`."""
    runners = [open_runner(file, port, device, runner) for file, port in ((detector, _DETECTOR), (mesh, _MESH))]
    return MeshReader(runners[0], runners[1], (detector, mesh), device)


def _of_detection(found: blazeface.FoundFaces) -> Square | None:
    """The square around the surest face; None where there is none."""
    if not len(found.score):
        return None
    low, high = found.low[0], found.high[0]
    return _square(low, high, found.points[0, 1] - found.points[0, 0])


def _of_points(points_px: np.ndarray) -> Square:
    """The square around the points (468, 3) of a face."""
    flat = points_px[:, :2].astype(np.float64)
    return _square(flat.min(0), flat.max(0), flat[EYE_CORNERS[1]] - flat[EYE_CORNERS[0]])


def _square(low: np.ndarray, high: np.ndarray, eyes: np.ndarray) -> Square:
    return Square((low + high) / 2, float((high - low).max()) * _LARGER, math.atan2(eyes[1], eyes[0]))
