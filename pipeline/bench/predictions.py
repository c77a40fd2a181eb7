"""Predictions: one lossless frame a pair, packed in one Arrow file a method, whoever made them."""

import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from model.atomic import written_aside
from pipeline.store.clips import decode_frame
from pipeline.store.schema import PREDICTIONS

BATCH = 256
SHOWN = 5
PNG_START = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"  # width and height follow, 4 bytes each


class PredictionsError(ValueError):
    """Predictions do not match the pairs; the message says which and how."""


class PredictionsWriter:
    """Packs PNG bytes as they are made; at most a record batch of them is held. Use as a context manager.

    The file's bytes depend on the frames and their order alone, not on how many are added at a time.
    """

    def __init__(self, path: Path) -> None:
        self._writer = pa.ipc.new_file(str(path), PREDICTIONS)
        self._held: list[tuple[str, bytes]] = []

    def add(self, pair_ids: Iterable[str], png: Iterable[bytes]) -> None:
        """Append the frames of some pairs."""
        for row in zip(pair_ids, png, strict=True):
            self._held.append(row)
            if len(self._held) == BATCH:
                self._write()

    def _write(self) -> None:
        pair_ids, png = zip(*self._held, strict=True)
        self._writer.write_batch(pa.record_batch([pa.array(pair_ids), pa.array(png, pa.binary())], PREDICTIONS))
        self._held = []

    def __enter__(self) -> "PredictionsWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and self._held:
            self._write()
        self._writer.close()


def write_predictions(path: Path, pair_ids: Sequence[str], batches: Iterable[Sequence[bytes]]) -> None:
    """Pack the frames of pairs, atomically.

    Args:
        path: the file; its folder is made.
        pair_ids: N pairs.
        batches: their PNG bytes in order, some at a time, drawn as they are written.

    Raises:
        ValueError: there are more or fewer frames than pairs; nothing is written then.
    """
    done = 0
    with written_aside(Path(path)) as partial, PredictionsWriter(partial) as writer:
        for png in batches:
            writer.add(pair_ids[done : done + len(png)], png)
            done += len(png)
        if done != len(pair_ids):
            raise ValueError(f"{path}: {done} frames were made for {len(pair_ids)} pairs")


class SavedFrames:
    """The frames of a method's pairs, in a mapped file; they are decoded when asked for. Any thread may ask.

    Args:
        path: a file that `write_predictions` made.
        pair_ids: N pairs, in the order in which their frames are seen here.
        size_hw: what the frames have to be.

    Raises:
        FileNotFoundError: there is no such file.
        PredictionsError: a pair has no frame, or a frame has another size or is no PNG.
    """

    def __init__(self, path: Path, pair_ids: Sequence[str], size_hw: tuple[int, int]) -> None:
        if not Path(path).exists():
            raise FileNotFoundError(f"no predictions at {path}: run the stage `evaluate` for this method")
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        row_of = {name: row for row, name in enumerate(table.column("pair_id").to_pylist())}
        refuse("have no prediction", [name for name in pair_ids if name not in row_of], path)
        self._png = table.column("png")
        self._rows = [row_of[name] for name in pair_ids]
        found = {name: png_size_hw(self._bytes(row)) for row, name in enumerate(pair_ids)}
        refuse("are no PNG", [name for name, size in found.items() if size is None], path)
        refuse_sizes({name: size for name, size in found.items() if size is not None}, size_hw, path)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """Decode some frames: (M, H, W, 3) uint8 RGB."""
        return np.stack([decode_frame(self._bytes(row)) for row in rows])

    def _bytes(self, row: int) -> pa.Buffer:
        return self._png[self._rows[row]].as_buffer()


def png_size_hw(data: pa.Buffer | bytes) -> tuple[int, int] | None:
    """Height and width that a PNG's first bytes tell; None where they are no PNG's."""
    start = bytes(memoryview(data)[: len(PNG_START) + 8])
    if len(start) < len(PNG_START) + 8 or not start.startswith(PNG_START):
        return None
    width, height = struct.unpack(">II", start[len(PNG_START) :])
    return height, width


def refuse(what: str, names: Sequence[str], where: Path) -> None:
    """Raise PredictionsError if there are any names; the first ones are shown."""
    if names:
        shown = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
        raise PredictionsError(f"{where}: {len(names)} {what}: {shown}")


def refuse_sizes(sizes: Mapping[str, tuple[int, int]], size_hw: tuple[int, int], where: Path) -> None:
    """Raise PredictionsError if any frame is of another (height, width)."""
    odd = [f"{name} ({size[0]}x{size[1]})" for name, size in sizes.items() if size != tuple(size_hw)]
    refuse(f"are not {size_hw[0]}x{size_hw[1]} (height x width)", odd, where)
