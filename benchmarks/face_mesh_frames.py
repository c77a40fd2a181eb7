"""Frames for measuring instruments: real faces and changed copies of them, and puppets rendered again with a change."""

import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from model.heads.head import HeadModel
from pipeline.puppet_training.stage import Stage
from pipeline.puppet_training.validity import UNITS, rerendered
from pipeline.store.landmark_table import LandmarkTable
from pipeline.video.info import read_packets
from pipeline.video.readers import read_av

STEPS = (0.25, 0.5, 0.75, 1.0)
RERENDERED = ("wrong pose", "wrong expression", "identity mixing")
# Changes of real frames by the frames' size, each from little to much; the first step of each of `FLOOR` is the floor.
REAL: dict[int, dict[str, tuple[float, ...]]] = {
    256: {
        "jpeg": (75, 50, 20, 10),
        "rescale": (192, 128, 64, 32),
        "shift": (1, 4, 8, 16),
        "blur": (1, 2, 4, 6),
        "noise": (5, 15, 30),
    },
    64: {
        "jpeg": (75, 50, 20, 10),
        "rescale": (48, 32, 24, 16),
        "shift": (1, 2, 4),
        "blur": (0.5, 1, 1.5, 2),
        "noise": (5, 15, 30),
    },
}
FLOOR = ("jpeg", "rescale", "shift")
_WORDS = {
    "jpeg": "JPEG {:g}",
    "rescale": "down to {:g} px and up",
    "shift": "shifted by {:g} px",
    "blur": "blurred, sigma {:g} px",
    "noise": "noise of {:g} levels",
}
_AROUND = 1.4  # side of a crop over the extent of all landmarks in it
CHANGES_OF_PUPPETS = {name: UNITS[name] for name in RERENDERED}


def words(change: str, step: float) -> str:
    """A step in words."""
    return _WORDS[change].format(step)


def real_frames(data: Path, size: int, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Square crops (N, size, size, 3) uint8 of every `step`-th frame, and the video (N,) of each.

    A video has one box, around all its faces, as clips have.
    """
    table = LandmarkTable(data / "landmarks.parquet")
    frames: dict[tuple[str, str], list[int]] = {}
    for person, video, frame in table.frames():
        frames.setdefault((person, video), []).append(frame)
    crops, clip = [], []
    for number, ((person, video), numbers) in enumerate(sorted(frames.items())):
        path, chosen = data / "videos" / f"{video}.mp4", sorted(numbers)[::step]
        marks = table.look(person, video, chosen).landmarks_px.reshape(-1, 2)
        for picture in read_av(path, read_packets(path), chosen):
            crops.append(_crop(picture, marks, size))
            clip.append(number)
    return np.stack(crops), np.array(clip)


def changed(frames: np.ndarray, change: str, step: float) -> np.ndarray:
    """Copies of (N, H, W, 3) uint8 frames, changed; equal arguments give equal copies."""
    rng = np.random.default_rng(0)
    return np.stack([_changed(frame, change, step, rng) for frame in frames])


def puppet_frames(head: HeadModel, size: int, people: int) -> dict[tuple[str, float], np.ndarray]:
    """Puppets, two frames of each, by change and step; ("", 0) are the unchanged ones."""
    stage = Stage(head, size)
    scene = stage.scene(17, people, 2)
    found = {("", 0.0): stage.film(scene)}
    return found | {(change, step): rerendered(stage, scene, change, step) for change in RERENDERED for step in STEPS}


def _crop(frame: np.ndarray, marks: np.ndarray, size: int) -> np.ndarray:
    low, high = marks.min(0), marks.max(0)
    side = round(float((high - low).max()) * _AROUND)
    left, top = np.round((low + high) / 2 - side / 2).astype(int)
    height, width = frame.shape[:2]
    above, before = max(0, -top), max(0, -left)
    below, beyond = max(0, top + side - height), max(0, left + side - width)
    wide = cv2.copyMakeBorder(frame, above, below, before, beyond, cv2.BORDER_REPLICATE)
    square = wide[top + above : top + above + side, left + before : left + before + side]
    return cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA if side > size else cv2.INTER_LINEAR)


def _changed(frame: np.ndarray, change: str, step: float, rng: np.random.Generator) -> np.ndarray:
    size = frame.shape[0]
    if change == "jpeg":
        stream = io.BytesIO()
        Image.fromarray(frame).save(stream, "JPEG", quality=int(step))
        return np.asarray(Image.open(stream))
    if change == "rescale":
        small = cv2.resize(frame, (int(step), int(step)), interpolation=cv2.INTER_AREA)
        return cv2.resize(small, (size, size), interpolation=cv2.INTER_LINEAR)
    if change == "shift":
        px = int(step)
        return cv2.copyMakeBorder(frame, px, 0, px, 0, cv2.BORDER_REPLICATE)[:size, :size]
    if change == "blur":
        return cv2.GaussianBlur(frame, (0, 0), step)
    if change == "noise":
        return np.clip(frame + rng.normal(0, step, frame.shape), 0, 255).round().astype(np.uint8)
    raise ValueError(f"unknown change {change!r}: expected one of {', '.join(_WORDS)}")
