"""`pwm predictions import`: a folder of images that anybody's code made, packed as the benchmark scores it."""

from collections.abc import Iterator
from pathlib import Path

from pipeline.bench.predictions import refuse, refuse_sizes, write_predictions
from pipeline.store.clips import ClipStore, encode_png
from pipeline.store.images import SUFFIXES, UnreadableImage, read_image
from pipeline.store.schema import PAIRS, read_table
from pipeline.work.foreign_files import own_entries


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
        if file.suffix.lower() in SUFFIXES and file.is_file():
            files.setdefault(file.stem, []).append(file)
    wanted = set(pair_ids)
    refuse("have no image", [name for name in pair_ids if name not in files], folder)
    refuse("are images of no pair", [name for name in files if name not in wanted], folder)
    refuse("have several images", [name for name, found in files.items() if len(found) > 1], folder)
    odd: dict[str, tuple[int, int]] = {}
    broken: list[str] = []

    def brought(name: str) -> list[bytes]:
        try:
            frame = read_image(files[name][0].read_bytes())
        except UnreadableImage as error:
            broken.append(f"{files[name][0].name} {error}")
            return [b""]
        if frame.shape[:2] != size_hw:
            odd[name] = frame.shape[:2]
        return encode_png(frame[None])

    def checked() -> Iterator[list[bytes]]:
        """All images, and then whether they were all good: a file is only kept after the last."""
        yield from map(brought, pair_ids)
        refuse("cannot be read", broken, folder)
        refuse_sizes(odd, size_hw, folder)

    write_predictions(out, pair_ids, checked())
    return out
