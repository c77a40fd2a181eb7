"""FAN's 68 landmarks (face-alignment 1.5, BSD-3) on imported weights: what trackers and metrics see a face by.

The networks, the crop and the arithmetic are the package's; it looks at one face at a time, here many share a pass.

Quirks kept: landmarks are truncated to whole pixels of the image, as the package does, and the first face counts, which
is the one that the detector S3FD is surest of. Faces that it scores 0.5 or less are none.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from pipeline.store.assets import hash_of, require
from pipeline.store.closure import code_sha256
from pipeline.store.compute.devices import full_precision
from pipeline.store.provenance import sha256_text
from pipeline.trackers.s3fd import FaceBoxes

HALF_PX = 0.5  # from the package's whole pixels to the pixels' centres
CROP_PX, HEATMAP_PX = 256, 64
STACKS = 4  # hourglasses; the last one's heatmaps count
UNIT_PX = 200.0  # side of the crop at scale 1
BOX_PX = 195.0  # mean side of S3FD's box at scale 1
RAISED = 0.12  # share of the box's height by which the crop's middle lies above the box's
QUARTER = 0.25  # towards the larger neighbour of a heatmap's peak
# A CPU is fastest with a few images a pass, whose colours lie together (channels last), as they do in frames.
_FACES_A_PASS = {"cpu": 4, "cuda": 64}
_FRAME_PX = 256 * 256  # a frame of this size counts as one in the detector's pass, a larger one for more


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
        weights_sha256: of the network that finds them.
        fingerprint: hash of all that they depend on.
    """

    weights_sha256: str
    fingerprint: str

    def look(self, frames_u8: np.ndarray) -> Faces:
        """Find the face of each (H, W, 3) uint8 RGB frame of (N, H, W, 3)."""
        ...


class FanLandmarks:
    """FAN on the faces of S3FD; a `LandmarkFinder`."""

    def __init__(self, fan: Path, s3fd: Path, device: torch.device) -> None:
        from face_alignment.models import FAN

        self.net = FAN(STACKS)
        self.net.load_state_dict(torch.load(fan, map_location="cpu", weights_only=True))
        self.net.to(device).eval()
        self.boxes, self.device = FaceBoxes(s3fd, device), device
        self.weights_sha256 = hash_of(fan)
        code = code_sha256("pipeline.trackers.fan")
        self.fingerprint = sha256_text(self.weights_sha256, hash_of(s3fd), device.type, code)

    def look(self, frames_u8: np.ndarray) -> Faces:
        """Look at many frames a pass; see `LandmarkFinder`."""
        count = len(frames_u8)
        faces = Faces(np.full((count, 68, 2), np.nan, np.float32), np.full(count, np.nan, np.float32))
        a_pass = _FACES_A_PASS[self.device.type]
        step = max(1, a_pass * _FRAME_PX // (frames_u8.shape[1] * frames_u8.shape[2]))
        with full_precision(self.device):
            parts = [self.boxes.surest(frames_u8[start : start + step]) for start in range(0, count, step)]
            boxes = np.concatenate(parts) if parts else np.empty((0, 5))
            seen = np.flatnonzero(np.isfinite(boxes[:, 4]))
            for start in range(0, len(seen), a_pass):
                rows = seen[start : start + a_pass]
                faces.landmarks_px[rows] = self._points(frames_u8, boxes, rows) + HALF_PX
        faces.score[seen] = boxes[seen, 4]
        return faces

    @torch.inference_mode()
    def _points(self, frames_u8: np.ndarray, boxes: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Landmarks (len(rows), 68, 2) of some frames, in the package's whole pixels."""
        from face_alignment.utils import crop

        placed = [crop_of(boxes[row]) for row in rows]
        faces = [crop(frames_u8[row], centre, scale) for row, (centre, scale) in zip(rows, placed, strict=True)]
        planes = torch.from_numpy(np.stack(faces)).to(self.device).permute(0, 3, 1, 2).float() / 255.0
        heatmaps = self.net(planes)[-1].cpu().numpy()
        return in_image(peaks(heatmaps), *(np.array(column) for column in zip(*placed, strict=True)))


def crop_of(box: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre (2,), px, and scale of the crop around a box (left, top, right, bottom, ...)."""
    left, top, right, bottom = box[:4]
    centre = np.array([right - (right - left) / 2.0, bottom - (bottom - top) / 2.0])
    centre[1] = centre[1] - (bottom - top) * RAISED
    return centre, (right - left + bottom - top) / BOX_PX


def peaks(heatmaps: np.ndarray) -> np.ndarray:
    """The highest place of each map (B, 68, 64, 64), a quarter px towards its larger neighbours: (B, 68, 2) float32.

    Edge-aligned px of the map, x first. Peaks on the outermost pixels stay where they are.
    """
    side = heatmaps.shape[-1]
    y, x = np.divmod(heatmaps.reshape(*heatmaps.shape[:2], -1).argmax(-1), side)
    inside = (x > 0) & (x < side - 1) & (y > 0) & (y < side - 1)
    maps, points = np.ogrid[: heatmaps.shape[0], : heatmaps.shape[1]]
    x_in, y_in = np.clip(x, 1, side - 2), np.clip(y, 1, side - 2)
    slope_x = heatmaps[maps, points, y_in, x_in + 1] - heatmaps[maps, points, y_in, x_in - 1]
    slope_y = heatmaps[maps, points, y_in + 1, x_in] - heatmaps[maps, points, y_in - 1, x_in]
    nudge = np.stack([np.sign(slope_x), np.sign(slope_y)], -1) * QUARTER * inside[..., None]
    return (np.stack([x, y], -1) + HALF_PX + nudge).astype(np.float32)


def in_image(points: np.ndarray, centres: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Carry points (B, 68, 2) of heatmaps to their images: whole px, truncated towards zero, float32.

    Args:
        points: edge-aligned px of the heatmaps.
        centres: (B, 2) of the crops, px of the images.
        scales: (B,) of the crops.
    """
    side = UNIT_PX * np.asarray(scales, np.float64)[:, None, None]
    corners = np.asarray(centres, np.float64)[:, None] - side / 2
    return np.trunc(points * (side / HEATMAP_PX) + corners).astype(np.float32)


def find_fan(device: torch.device) -> FanLandmarks:
    """Open FAN and S3FD as they were imported, once a process.

    Raises:
        AssetMissing: either has not been imported.
    """
    return _open_fan(require("fan"), require("s3fd"), device)


@lru_cache(maxsize=1)
def _open_fan(fan: Path, s3fd: Path, device: torch.device) -> FanLandmarks:
    return FanLandmarks(fan, s3fd, device)
