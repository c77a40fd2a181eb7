"""Readings of images, each image looked at once.

Images are known by their bytes: a control row that copies a source frame, or a target that several pairs
share, is never looked at twice. The readings of reference images (sources, targets, driving frames) are
the same for every method, so they are kept in a scratch folder between runs.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.metrics.protocols import PIXELS, Backend
from pipeline.store.closure import code_sha256
from pipeline.store.provenance import sha256_text
from pipeline.store.threads import in_threads

Key = bytes


def image_key(frame_u8: np.ndarray) -> Key:
    """Name an (H, W, 3) uint8 image by its shape and bytes."""
    digest = hashlib.blake2b(str(frame_u8.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(frame_u8).data)
    return digest.digest()


@dataclass(frozen=True)
class Images:
    """N images, each named once.

    Attributes:
        frames_u8: (N, H, W, 3) uint8 RGB.
        keys: their N names.
    """

    frames_u8: np.ndarray
    keys: Sequence[Key]

    @classmethod
    def of(cls, frames_u8: np.ndarray) -> "Images":
        """Name (N, H, W, 3) uint8 frames."""
        return cls(frames_u8, [image_key(frame) for frame in frames_u8])

    @classmethod
    def joined(cls, parts: Sequence["Images"]) -> "Images":
        """Put images of one size behind each other."""
        return cls(np.concatenate([part.frames_u8 for part in parts]), [key for part in parts for key in part.keys])

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, rows: np.ndarray) -> "Images":
        """Keep some images, by index."""
        return Images(self.frames_u8[rows], [self.keys[row] for row in rows])


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
        self._kept: dict[str, set[Key]] = {}  # what lies in the folder

    def read(self, backend: Backend, reading: str, images: Images) -> np.ndarray:
        """Return one reading of N images: (N, D), or the frames themselves for `pixels`."""
        if reading == PIXELS:
            return images.frames_u8
        known = self._memory(backend)
        rows = {key: row for row, key in enumerate(images.keys) if key not in known}  # one row of each new image
        fresh = list(rows.items())
        parts = [fresh[start : start + self.batch_size] for start in range(0, len(fresh), self.batch_size)]
        frames_u8 = images.frames_u8
        looked = in_threads(lambda part: backend.observe(frames_u8[[row for _, row in part]]), parts, self.workers)
        for part, found in zip(parts, looked, strict=True):
            for index, (key, _) in enumerate(part):
                known[key] = {name: values[index] for name, values in found.items()}
        return np.stack([known[key][reading] for key in images.keys])

    def keep(self, backend: Backend, images: Images) -> None:
        """Write the readings of these reference images to the scratch folder, unless they lie there."""
        keys = sorted(set(images.keys))
        if not keys or set(keys) <= self._kept.get(backend.fingerprint, set()):
            return
        known, path = self._memory(backend), self._path(backend)
        columns: dict[str, Any] = {name: np.stack([known[key][name] for key in keys]) for name in known[keys[0]]}
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.stem}.{os.getpid()}.partial.npz")
        np.savez(partial, keys=np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), -1), **columns)
        os.replace(partial, path)
        self._kept[backend.fingerprint] = set(keys)

    def _memory(self, backend: Backend) -> dict[Key, dict[str, np.ndarray]]:
        if backend.fingerprint not in self._known:
            path = self._path(backend)
            stored = _stored(path) if path.exists() else {}
            self._known[backend.fingerprint], self._kept[backend.fingerprint] = stored, set(stored)
        return self._known[backend.fingerprint]

    def _path(self, backend: Backend) -> Path:
        made_of = sha256_text(backend.fingerprint, self.batch_size, code_sha256("pipeline.metrics.readings"))
        return self.folder / f"{backend.name}-{made_of[:20]}.npz"


def _stored(path: Path) -> dict[Key, dict[str, np.ndarray]]:
    with np.load(path) as file:
        columns = {name: file[name] for name in file.files}
    keys = [row.tobytes() for row in columns.pop("keys")]
    return {key: {name: values[i] for name, values in columns.items()} for i, key in enumerate(keys)}
