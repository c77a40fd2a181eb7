"""Real faces to hold instruments to, and the ways in which they are made worse step by step.

Crops of the development data's videos with the landmarks of their tables. Nobody's true pose or expression is known:
another pose is another frame of the same video whose landmarks say so, another person is blended in.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from pipeline.video.info import read_packets
from pipeline.video.readers import read_av

LARGE_PX, SMALL_PX = 256, 64
BOX = 1.7  # side of a crop in sides of the landmarks' bounding box over the video
STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)
_MOUTH, _INNER = slice(48, 68), [*range(17, 48)]


@dataclass(frozen=True)
class Faces:
    """N frames of one size, the frames of a video side by side.

    Attributes:
        frames_u8: (N, H, W, 3) RGB.
        landmarks_px: (N, 68, 2), edge-aligned.
        person: (N,) whose video a frame is of.
    """

    frames_u8: np.ndarray
    landmarks_px: np.ndarray
    person: np.ndarray

    @property
    def size_px(self) -> int:
        """Height of the frames."""
        return int(self.frames_u8.shape[1])

    def of(self, rows: np.ndarray) -> "Faces":
        """Take some frames."""
        return Faces(self.frames_u8[rows], self.landmarks_px[rows], self.person[rows])


def read_faces(roots: Mapping[Path, str], frames_a_video: int) -> Faces:
    """Crop frames, evenly spread, of every video below the roots to squares of `LARGE_PX`.

    Args:
        roots: folder with landmarks.parquet -> pattern of its videos' paths, such as `videos/{video_id}.mp4`.
        frames_a_video: how many.
    """
    import pandas as pd

    frames, landmarks, person = [], [], []
    for root, pattern in roots.items():
        table = pd.read_parquet(root / "landmarks.parquet")
        keys = [key for key in ("person_id", "video_id", "utterance") if key in table]
        for values, part in table.groupby(keys):
            rows = part.sort_values("frame").iloc[np.linspace(0, len(part) - 1, frames_a_video).round().astype(int)]
            path = root / pattern.format(**dict(zip(keys, values, strict=True)))
            decoded = list(read_av(path, read_packets(path), rows["frame"].tolist()))
            points = np.stack(rows["landmarks"].to_numpy()).reshape(-1, 68, 2) + 0.5  # centres at integers there
            for frame, found in zip(decoded, points, strict=True):
                left, top, side = _box(points, frame.shape[:2])
                crop = frame[top : top + side, left : left + side]
                how = cv2.INTER_AREA if side >= LARGE_PX else cv2.INTER_LINEAR
                frames.append(cv2.resize(crop, (LARGE_PX, LARGE_PX), interpolation=how))
                landmarks.append((found - (left, top)) * LARGE_PX / side)
                person.append(values[0])
    return Faces(np.stack(frames), np.stack(landmarks).astype(np.float32), np.array(person))


def shrunk(faces: Faces) -> Faces:
    """The same frames of `SMALL_PX`."""
    share = SMALL_PX / faces.size_px
    return replace(faces, frames_u8=_resized(faces.frames_u8, SMALL_PX), landmarks_px=(faces.landmarks_px * share))


def _box(points: np.ndarray, size_hw: tuple[int, ...]) -> tuple[int, int, int]:
    """Left, top and side of a square around all landmarks of a video that lies in its frame."""
    low, high = points.min((0, 1)), points.max((0, 1))
    side = int(min(BOX * (high - low).max(), *size_hw))
    left, top = ((low + high - side) / 2).round().astype(int)
    return int(np.clip(left, 0, size_hw[1] - side)), int(np.clip(top, 0, size_hw[0] - side)), side


def blurred(faces: Faces, sigma_px: float) -> Faces:
    """Gaussian blur."""
    return replace(faces, frames_u8=np.stack([cv2.GaussianBlur(frame, (0, 0), sigma_px) for frame in faces.frames_u8]))


def noisy(faces: Faces, grey_levels: float) -> Faces:
    """Gaussian noise of a standard deviation, the same for each step but for its size."""
    noise = np.random.default_rng(0).standard_normal(faces.frames_u8.shape, np.float32) * grey_levels
    return replace(faces, frames_u8=(faces.frames_u8 + noise).round().clip(0, 255).astype(np.uint8))


def shifted(faces: Faces, px: int) -> Faces:
    """Move the picture right and down by whole pixels; the edge repeats."""
    padded = np.pad(faces.frames_u8, ((0, 0), (px, 0), (px, 0), (0, 0)), mode="edge")
    size = faces.size_px
    return replace(faces, frames_u8=padded[:, :size, :size], landmarks_px=faces.landmarks_px + np.float32(px))


def as_jpeg(faces: Faces, quality: int) -> Faces:
    """Through JPEG and back."""
    return replace(faces, frames_u8=np.stack([_jpeg(frame, quality) for frame in faces.frames_u8]))


def rescaled(faces: Faces, share: float) -> Faces:
    """Smaller and back."""
    small = _resized(faces.frames_u8, round(faces.size_px * share))
    back = [cv2.resize(frame, (faces.size_px, faces.size_px), interpolation=cv2.INTER_LINEAR) for frame in small]
    return replace(faces, frames_u8=np.stack(back))


def another_frame(pool: Faces, rows: np.ndarray, gap: np.ndarray, step: float, allowed: np.ndarray) -> Faces:
    """In the place of each of the pool's frames `rows`, the one at the quantile `step` of the gaps to it.

    Args:
        pool: frames to choose from.
        rows: numbers of frames in it.
        gap: (N, N) how far apart two frames of the pool are.
        step: 0 is the frame itself, 1 the farthest.
        allowed: (N, N) bool, which frames may be taken for which.
    """
    chosen = []
    for row in rows:
        order = np.flatnonzero(allowed[row])
        order = order[np.argsort(gap[row, order], kind="stable")]
        chosen.append(order[round(step * (len(order) - 1))])
    return pool.of(np.array(chosen))


def pose_gaps(faces: Faces) -> np.ndarray:
    """How far apart two heads are turned, (N, N): where the nose's tip lies from the eyes, in eye distances."""
    marks = faces.landmarks_px.astype(np.float64)
    eyes = np.stack([marks[:, 36:42].mean(1), marks[:, 42:48].mean(1)], 1)
    span = np.linalg.norm(eyes[:, 1] - eyes[:, 0], axis=1)[:, None]
    nose = (marks[:, 30] - eyes.mean(1)) / span
    return np.asarray(np.linalg.norm(nose[:, None] - nose[None], axis=2))


def expression_gaps(faces: Faces) -> np.ndarray:
    """How far apart two mouths are once the other inner points lie on each other, (N, N), in eye distances."""
    marks = faces.landmarks_px.astype(np.float64)
    gaps = np.zeros((len(marks), len(marks)))
    for row, wanted in enumerate(marks):
        for other in np.flatnonzero(faces.person == faces.person[row]):
            moved = _onto(marks[other], wanted)
            gaps[row, other] = np.linalg.norm(moved[_MOUTH] - wanted[_MOUTH], axis=1).mean()
        gaps[row] /= np.linalg.norm(wanted[36:42].mean(0) - wanted[42:48].mean(0))
    return gaps


def of_one_person(faces: Faces) -> np.ndarray:
    """(N, N) bool: which frames are of one person."""
    return np.asarray(faces.person[:, None] == faces.person[None])


def alike_in_pose(gaps: np.ndarray, faces: Faces) -> np.ndarray:
    """(N, N) bool: the nearer half of each frame's own video by pose, itself included."""
    own = np.where(of_one_person(faces), gaps, np.nan)
    return np.asarray(own <= np.nanmedian(own, axis=1, keepdims=True))


def mixed(faces: Faces, share: float) -> Faces:
    """The next person's frame faded in, with the landmarks between the two."""
    people = list(dict.fromkeys(faces.person))
    following = dict(zip(people, people[1:] + people[:1], strict=True))
    count = {name: np.flatnonzero(faces.person == name) for name in people}
    place = np.concatenate([np.arange(len(count[name])) for name in people])
    theirs = [count[following[name]] for name in faces.person]
    other = faces.of(np.array([rows[at % len(rows)] for rows, at in zip(theirs, place, strict=True)]))
    frames = (1 - share) * faces.frames_u8 + share * other.frames_u8.astype(np.float32)
    landmarks = (1 - share) * faces.landmarks_px + share * other.landmarks_px
    return Faces(frames.round().astype(np.uint8), landmarks.astype(np.float32), faces.person)


def changes(pool: Faces, rows: np.ndarray) -> dict[str, tuple[str, Callable[[float], Faces]]]:
    """Each way to make the pool's frames `rows` worse: what its largest step is, and the frames at a step above 0."""
    faces, px = pool.of(rows), pool.size_px / LARGE_PX
    poses, mouths = pose_gaps(pool), expression_gaps(pool)
    own, alike = of_one_person(pool), alike_in_pose(poses, pool)
    return {
        "blur": (f"Gaussian of up to {8 * px:g} px", lambda step: blurred(faces, 8 * px * step)),
        "noise": ("Gaussian of up to 32 grey levels", lambda step: noisy(faces, 32 * step)),
        "shift": (f"to the right and down by up to {16 * px:g} px", lambda step: shifted(faces, round(16 * px * step))),
        "wrong pose": (
            "the frame of the same video that is turned farthest",
            lambda step: another_frame(pool, rows, poses, step, own),
        ),
        "wrong expression": (
            "of the frames alike in pose, the one with the most different mouth",
            lambda step: another_frame(pool, rows, mouths, step, alike),
        ),
        "identity mixing": ("another person's frame, faded in", lambda step: mixed(faces, step)),
    }


def small_changes(faces: Faces) -> dict[str, Faces]:
    """What should hardly count: its readings are an instrument's floor."""
    px = round(4 * faces.size_px / LARGE_PX)
    return {
        "JPEG 75": as_jpeg(faces, 75),
        "three quarters and back": rescaled(faces, 0.75),
        f"shift by {px} px": shifted(faces, px),
    }


def _onto(points: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Points (68, 2) after the similarity that carries their inner points, mouth apart, to the wanted ones."""
    a, b = points[_INNER] @ (1, 1j), wanted[_INNER] @ (1, 1j)
    factor = np.vdot(a - a.mean(), b - b.mean()) / np.vdot(a - a.mean(), a - a.mean())
    moved = factor * (points @ (1, 1j) - a.mean()) + b.mean()
    return np.stack([moved.real, moved.imag], 1)


def _jpeg(frame: np.ndarray, quality: int) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(frame).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream).convert("RGB"))


def _resized(frames_u8: np.ndarray, px: int) -> np.ndarray:
    return np.stack([cv2.resize(frame, (px, px), interpolation=cv2.INTER_AREA) for frame in frames_u8])
