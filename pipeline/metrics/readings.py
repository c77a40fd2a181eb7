"""Readings of images, each image looked at once.

Images are known by their bytes: a control row that copies a source frame, or a target that several pairs
share, is never looked at twice. The readings of reference images (sources, targets, driving frames) are
the same for every method, so they are kept in a scratch folder between runs.
"""

import hashlib
import os
from pathlib import Path

import numpy as np

from pipeline.metrics.protocols import PIXELS, Backend
from pipeline.threads import in_threads

Key = bytes


def image_key(frame_u8: np.ndarray) -> Key:
    """Name an (H, W, 3) uint8 image by its shape and bytes."""
    digest = hashlib.blake2b(str(frame_u8.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(frame_u8))
    return digest.digest()


class Readings:
    """A memory of what each backend read in each image.

    Args:
        folder: scratch folder for readings of reference images.
        batch_size: images a forward pass.
        workers: batches looked at side by side.
    """

    def __init__(self, folder: Path, batch_size: int, workers: int = 1) -> None:
        self.folder, self.batch_size, self.workers = folder, batch_size, workers
        self._known: dict[str, dict[Key, dict[str, np.ndarray]]] = {}

    def read(self, backend: Backend, reading: str, frames_u8: np.ndarray) -> np.ndarray:
        """Return one reading of (N, H, W, 3) uint8 frames: (N, D), or the frames themselves for `pixels`."""
        if reading == PIXELS:
            return frames_u8
        known = self._memory(backend)
        keys = [image_key(frame) for frame in frames_u8]
        rows = {key: row for row, key in enumerate(keys) if key not in known}  # one row of each new image
        fresh = list(rows.items())
        parts = [fresh[start : start + self.batch_size] for start in range(0, len(fresh), self.batch_size)]
        looked = in_threads(lambda part: backend.observe(frames_u8[[row for _, row in part]]), parts, self.workers)
        for part, found in zip(parts, looked, strict=True):
            for index, (key, _) in enumerate(part):
                known[key] = {name: values[index] for name, values in found.items()}
        return np.stack([known[key][reading] for key in keys])

    def keep(self, backend: Backend, frames_u8: np.ndarray) -> None:
        """Write the readings of these reference images to the scratch folder, unless they lie there."""
        known = self._memory(backend)
        keys = sorted({image_key(frame) for frame in frames_u8})
        path = self._path(backend)
        if not keys or (path.exists() and set(keys) <= _stored(path).keys()):
            return
        columns = {name: np.stack([known[key][name] for key in keys]) for name in known[keys[0]]}
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.stem}.{os.getpid()}.partial.npz")
        np.savez(partial, keys=np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), -1), **columns)
        os.replace(partial, path)

    def _memory(self, backend: Backend) -> dict[Key, dict[str, np.ndarray]]:
        if backend.fingerprint not in self._known:
            path = self._path(backend)
            self._known[backend.fingerprint] = _stored(path) if path.exists() else {}
        return self._known[backend.fingerprint]

    def _path(self, backend: Backend) -> Path:
        return self.folder / f"{backend.name}-{backend.fingerprint[:20]}.npz"


def _stored(path: Path) -> dict[Key, dict[str, np.ndarray]]:
    with np.load(path) as file:
        columns = {name: file[name] for name in file.files}
    keys = [row.tobytes() for row in columns.pop("keys")]
    return {key: {name: values[i] for name, values in columns.items()} for i, key in enumerate(keys)}
