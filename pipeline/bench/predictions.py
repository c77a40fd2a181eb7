"""Predictions: one lossless frame a pair, packed in one Arrow file a method, whoever made them."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.store.clips import ClipStore, decode_frame, encode_frame
from pipeline.store.images import SUFFIXES, UnreadableImage, read_image
from pipeline.store.schema import PAIRS, PREDICTIONS, read_table
from pipeline.work.foreign_files import own_entries

BATCH = 256
SHOWN = 5


class PredictionsError(ValueError):
    """Predictions do not match the pairs; the message says which and how."""


def write_predictions(path: Path, pair_ids: Sequence[str], frames_u8: np.ndarray) -> None:
    """Pack (N, H, W, 3) uint8 RGB frames as PNG bytes, atomically.

    The PNG streams carry no metadata, so equal frames give equal files.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with pa.OSFile(str(partial), "wb") as sink, pa.ipc.new_file(sink, PREDICTIONS) as writer:
        for start in range(0, len(pair_ids), BATCH):
            part = slice(start, start + BATCH)
            png = [encode_frame(frame, "png", jpeg_quality=100) for frame in frames_u8[part]]
            writer.write_batch(pa.record_batch([pa.array(pair_ids[part]), pa.array(png, pa.binary())], PREDICTIONS))
    os.replace(partial, path)


def read_predictions(path: Path, pair_ids: Sequence[str]) -> np.ndarray:
    """Read the frames of these pairs, in their order: (N, H, W, 3) uint8 RGB.

    Raises:
        FileNotFoundError: there is no such file.
        PredictionsError: a pair has no frame, or frames differ in size.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"no predictions at {path}: run the stage `evaluate` for this method")
    with pa.memory_map(str(path)) as source:
        table = pa.ipc.open_file(source).read_all()
        row = {name: index for index, name in enumerate(table.column("pair_id").to_pylist())}
        _refuse("have no prediction", [name for name in pair_ids if name not in row], path)
        png = table.column("png")
        frames = [decode_frame(png[row[name]].as_buffer()) for name in pair_ids]
    _refuse_sizes(dict(zip(pair_ids, frames, strict=True)), frames[0].shape[:2] if frames else (0, 0), path)
    return np.stack(frames) if frames else np.zeros((0, 0, 0, 3), np.uint8)


def import_folder(folder: Path, pairs: Path, clips: Path, out: Path) -> Path:
    """Pack a folder of images named `<pair id>.png` (or .jpg, .bmp, .webp) made by anybody's code.

    Args:
        folder: where the images lie, without subfolders; images are never resized (`pipeline.store.images` reads them).
        pairs: the pair list; each of its pairs needs exactly one image.
        clips: the evaluation clips, which say how large an image must be.
        out: the `predictions.arrow` to write; it is returned.

    Raises:
        NotADirectoryError: there is no such folder.
        PredictionsError: images are missing, unknown, doubled, unreadable or of another size.
    """
    table = read_table(pairs, PAIRS)
    store = ClipStore(clips)
    pair_ids = table.column("pair_id").to_pylist()
    size_hw = store.frame(store.clips()[0], 0).shape[:2]
    folder = Path(folder)
    if not folder.is_dir():
        raise NotADirectoryError(f"no folder of predictions at {folder}")
    files: dict[str, list[Path]] = {}
    for file in own_entries(folder):
        if file.suffix.lower() in SUFFIXES:
            files.setdefault(file.stem, []).append(file)
    wanted = set(pair_ids)
    _refuse("have no image", [name for name in pair_ids if name not in files], folder)
    _refuse("are images of no pair", [name for name in files if name not in wanted], folder)
    _refuse("have several images", [name for name, found in files.items() if len(found) > 1], folder)
    frames, broken = {}, []
    for name in pair_ids:
        try:
            frames[name] = read_image(files[name][0].read_bytes())
        except UnreadableImage as error:
            broken.append(f"{files[name][0].name} {error}")
    _refuse("cannot be read", broken, folder)
    _refuse_sizes(frames, size_hw, folder)
    write_predictions(out, pair_ids, np.stack([frames[name] for name in pair_ids]))
    return out


def _refuse(what: str, names: Sequence[str], where: Path) -> None:
    if names:
        shown = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
        raise PredictionsError(f"{where}: {len(names)} {what}: {shown}")


def _refuse_sizes(frames: dict[str, np.ndarray], size_hw: tuple[int, int], where: Path) -> None:
    odd = [f"{n} ({f.shape[0]}x{f.shape[1]})" for n, f in frames.items() if f.shape[:2] != tuple(size_hw)]
    _refuse(f"are not {size_hw[0]}x{size_hw[1]} (height x width)", odd, where)
