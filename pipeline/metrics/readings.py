"""Readings of images, each image looked at once.

Images are known by their bytes: a control row that copies a source frame, or a target that several pairs
share, is never looked at twice. Neither is one that several backends see through a common base: FAN's points serve AKD,
CSIM's alignment and the trackers. The readings of reference images (sources, targets, driving frames) are
the same for every method, so they are kept in a scratch folder between runs.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from model.atomic import written_aside
from pipeline.metrics.images import Images, Key
from pipeline.metrics.protocols import Backend, OnwardBackend, named_failure
from pipeline.store.closure import code_sha256
from pipeline.store.compute.threads import in_threads
from pipeline.store.provenance import sha256_text

Found = tuple[dict[str, np.ndarray], int]  # readings of a batch, and the image's row there


class Readings:
    """A memory of what each backend read in each image. Numbers only: images are decoded, looked at and let go.

    Args:
        folder: scratch folder for readings of reference images.
        batch_size: images a forward pass.
        workers: batches looked at side by side.
    """

    def __init__(self, folder: Path, batch_size: int, workers: int = 1) -> None:
        self.folder, self.batch_size, self.workers = folder, batch_size, workers
        self._known: dict[str, dict[Key, Found]] = {}
        self._kept: dict[str, set[Key]] = {}  # what lies in the folder

    def read(self, backend: Backend, reading: str, images: Images) -> list[np.ndarray]:
        """Look at the images that are new; returns one reading of all N, views (D,) of what is remembered.

        Raises:
            BackendFailed: it ended in an error.
        """
        self._look(backend, images)
        known = self._memory(backend)
        return [found[reading][index] for found, index in map(known.__getitem__, images.keys)]

    def _look(self, backend: Backend, images: Images) -> None:
        """Let a backend look at the images that are new to it, its base first."""
        known = self._memory(backend)
        rows = {key: row for row, key in enumerate(images.keys) if key not in known}  # one row of each new image
        fresh = list(rows.items())
        if not fresh:
            return
        base: Backend | None = getattr(backend, "base", None)
        if base is not None:
            with named_failure(backend.name):
                self._look(base, images[np.array(list(rows.values()))])
        parts = [fresh[start : start + self.batch_size] for start in range(0, len(fresh), self.batch_size)]

        def observed(part: list[tuple[Key, int]]) -> dict[str, np.ndarray]:
            frames_u8 = images.decoded(np.array([row for _, row in part]))
            with named_failure(backend.name):
                if base is None:
                    return backend.observe(frames_u8)
                seen = self._stacked(base, [key for key, _ in part])
                return cast("OnwardBackend", backend).observe_with(frames_u8, seen)

        looked = in_threads(observed, parts, self.workers)
        for part, found in zip(parts, looked, strict=True):
            known.update({key: (found, index) for index, (key, _) in enumerate(part)})

    def _stacked(self, backend: Backend, keys: Sequence[Key]) -> dict[str, np.ndarray]:
        """Everything that a backend read in these images, (N, D) by the reading's name."""
        known = self._memory(backend)
        found = [known[key] for key in keys]
        return {name: np.stack([read[name][row] for read, row in found]) for name in found[0][0]}

    def keep(self, backend: Backend, images: Images) -> None:
        """Write the readings of these reference images to the scratch folder, unless they lie there."""
        keys = sorted(set(images.keys))
        if not keys or set(keys) <= self._kept.get(backend.fingerprint, set()):
            return
        path = self._path(backend)
        columns: dict[str, Any] = self._stacked(backend, keys)
        with written_aside(path) as partial, partial.open("wb") as stream:
            np.savez(stream, keys=np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), -1), **columns)
        self._kept[backend.fingerprint] = set(keys)

    def forget(self, keys: Iterable[Key]) -> None:
        """Let go of the readings of images that nobody will ask for again."""
        gone = set(keys)
        for known in self._known.values():
            for key in gone & known.keys():
                del known[key]

    def _memory(self, backend: Backend) -> dict[Key, Found]:
        if backend.fingerprint not in self._known:
            path = self._path(backend)
            stored = _stored(path) if path.exists() else {}
            self._known[backend.fingerprint], self._kept[backend.fingerprint] = stored, set(stored)
        return self._known[backend.fingerprint]

    def _path(self, backend: Backend) -> Path:
        made_of = sha256_text(backend.fingerprint, self.batch_size, code_sha256("pipeline.metrics.readings"))
        return self.folder / f"{backend.name}-{made_of[:20]}.npz"


def _stored(path: Path) -> dict[Key, Found]:
    with np.load(path) as file:
        columns = {name: file[name] for name in file.files}
    keys = [row.tobytes() for row in columns.pop("keys")]
    return {key: (columns, row) for row, key in enumerate(keys)}
