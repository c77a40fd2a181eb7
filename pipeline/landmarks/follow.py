"""All faces of a video, followed from frame to frame, and where its scenes are cut.

A face is looked for by the mesh where it was in the frame before. The detector looks at a scene's first frame, where a
face was lost or none is there, and now and then for new ones.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from pipeline.instruments.mesh_reader import MeshReader
from pipeline.instruments.sixty_eight import to_68
from pipeline.params.data import FaceParams
from pipeline.sources.boxes import Box, iou

THUMB_PX = 16  # of the picture in which cuts are seen: small enough that nobody's movement counts as one


@dataclass(frozen=True)
class SeenFace:
    """A face of one frame.

    Attributes:
        track: number of the face within the video.
        box: that spans the mesh's points, px.
        landmarks_px: (68, 2) float32, edge-aligned.
        presence: how sure the mesh is, 0 to 1.
    """

    track: int
    box: Box
    landmarks_px: np.ndarray
    presence: float


@dataclass(frozen=True)
class SeenFrame:
    """The faces of one frame, and the number of the scene that it belongs to."""

    scene: int
    size_wh: tuple[int, int]
    faces: tuple[SeenFace, ...]


@dataclass
class _Track:
    points_px: np.ndarray
    box: Box
    last: int


class FaceFollower:
    """Give it the frames of one video, (H, W, 3) uint8 RGB, one after another.

    Attributes:
        num_frames: how many it was given.
    """

    def __init__(self, reader: MeshReader, params: FaceParams) -> None:
        self.num_frames = 0
        self._reader, self._params = reader, params
        self._tracks: dict[int, _Track] = {}
        self._thumb: np.ndarray | None = None
        self._scene = self._scene_start = self._next_track = 0

    def __call__(self, frame_u8: np.ndarray) -> SeenFrame:
        """Find the faces of the next frame."""
        number, self.num_frames = self.num_frames, self.num_frames + 1
        if self._is_cut(frame_u8):
            self._scene, self._scene_start = self._scene + 1, number
            self._tracks.clear()
        present = {track: kept for track, kept in self._tracks.items() if kept.last == number - 1}
        found: dict[int, SeenFace] = {}
        near = self._reader.faces_near(frame_u8, [kept.points_px for kept in present.values()])
        for track, points, presence in zip(present, near.points_px, near.presence, strict=True):
            self._take(found, track, points, float(presence), number)
        late = (number - self._scene_start) % self._params.detect_every == 0
        if late or not found or len(found) < len(present):
            new = self._reader.every_face(frame_u8)
            for points, presence in zip(new.points_px, new.presence, strict=True):
                self._take(found, None, points, float(presence), number)
        gap = self._params.gap_frames
        self._tracks = {track: kept for track, kept in self._tracks.items() if number - kept.last <= gap}
        return SeenFrame(self._scene, (frame_u8.shape[1], frame_u8.shape[0]), tuple(found.values()))

    def _take(
        self, found: dict[int, SeenFace], track: int | None, points: np.ndarray, presence: float, number: int
    ) -> None:
        """Add a face, unless it is none or one that was found already; a new one takes up the track that it fits."""
        if not np.isfinite(points).all():
            return
        low, high = points[:, :2].min(0), points[:, :2].max(0)
        box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
        if any(iou(box, other.box) > self._params.overlap for other in found.values()):
            return
        if track is None:
            free = {name: iou(box, kept.box) for name, kept in self._tracks.items() if name not in found}
            track = max(free, key=lambda name: free[name], default=None)
            if track is None or free[track] < self._params.overlap:
                track, self._next_track = self._next_track, self._next_track + 1
        self._tracks[track] = _Track(points, box, number)
        found[track] = SeenFace(track, box, to_68(points[None])[0], presence)

    def _is_cut(self, frame_u8: np.ndarray) -> bool:
        grey = cv2.resize(frame_u8, (THUMB_PX, THUMB_PX), interpolation=cv2.INTER_AREA).astype(np.float32).mean(-1)
        before, self._thumb = self._thumb, grey
        return before is not None and float(np.abs(grey - before).mean()) > self._params.cut_levels
