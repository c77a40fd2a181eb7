"""`pwm pairs export`: everything that somebody else's method needs to animate the test pairs, as plain files."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from model.atomic import written_aside
from pipeline.bench.pair_frames import PairFrames, load_pair_frames
from pipeline.console import track
from pipeline.store.clips import ClipStore, encode_png
from pipeline.store.columns import one_chunk
from pipeline.store.fits import FIELDS, FitTable
from pipeline.store.provenance import write_text

COLUMNS = ("pair_id", "dataset", "task", "source_person", "driving_person", "source_clip", "source_frame",
           "driving_clip", "driving_frame")  # fmt: skip
BESIDE = ("landmarks", "crop_map")  # what of a fit is no parameter of a head
README = """# Test pairs

A line of `pairs.csv` is a pair: animate `source/<pair_id>.png` by `driving/<pair_id>.png`, and write the result as
`<pair_id>.png` into a folder of your own: {width}x{height} px, 8-bit RGB, one for every pair.

| file | what it is |
| --- | --- |
| `pairs.csv` | the {count} pairs: id, data set, task, people, clips, frame numbers in their clips |
| `source/`, `driving/` | a PNG a pair; the driving image is the ground truth where the task is `same` |
{window}| `fits-<head>.npz` | fits of that head; the first axis is the line of `pairs.csv` |

Arrays of `fits-<head>.npz` are `source_<name>` (N, ...) and `driving_<name>` (N, {frames}, ...), the driving ones of
the frames -{reach} to {reach} around the driving frame; `driving_frames` has their numbers in the clip, whose first and
last frame repeat beyond its ends. Names:

* `shape`, `expression`: codes of the head; `pose`: joint rotations in radians, root first;
* `camera`, `tracker_map`: of the tracker's frame, and the row-major 2x3 map from its ndc to the clip's;
* `landmarks`: 68 points x0, y0, x1, ... in the clip's ndc; `crop_map`: source-video pixels to the clip's ndc, 2x3;
* `status`: `ok`, or why there is no fit, whose numbers are NaN then.

ndc: x right, y down, -1 and 1 at the frame's edges.

A `method.yaml` beside your results says what the tables call them:

```yaml
label: My method
link: https://example.org/paper
trained_on_data: false
```

Then, in the project: `pwm score FOLDER --name mine`, and `dvc repro`.
"""
FRAMES = "| `window/<pair_id>/` | the driving clip around the driving frame, `-{0:02d}.png` to `+{0:02d}.png` |\n"


def window_frames(frame: int, reach: int, count: int) -> np.ndarray:
    """Numbers (2 reach + 1,) of the frames around a frame of a clip of `count`; beyond its ends they repeat."""
    return np.clip(frame + np.arange(-reach, reach + 1), 0, count - 1)


def export_pairs(out: Path, pairs: Path, clips: Path, fits: Sequence[Path], reach: int) -> int:
    """Write the test pairs as plain files.

    Args:
        out: a folder to make.
        pairs: the pair list.
        clips: the evaluation clips.
        fits: tables of fits of these clips, one a head.
        reach: frames before and behind each driving frame that are written too.

    Returns:
        How many pairs there are.

    Raises:
        FileExistsError: `out` is there already.
        ValueError: `reach` is negative, or the pairs name what is not there.
    """
    if reach < 0:
        raise ValueError(f"--window {reach}: frames before and behind the driving frame, 0 for none")
    if out.exists():
        raise FileExistsError(f"{out} is there already: name a new folder")
    loaded, _ = load_pair_frames(pairs, clips)
    store = ClipStore(clips)
    windows = np.stack(
        [
            window_frames(int(frame), reach, store.num_frames(clip))
            for clip, frame in zip(loaded.driving_clip, loaded.driving_frame, strict=True)
        ]
    )
    with written_aside(out) as partial:
        for row in track(range(len(loaded)), "pairs written", len(loaded)):
            for name, frame in _images(loaded, store, row, windows[row]):
                _write_png(partial / name, frame)
        write_text(partial / "pairs.csv", pairs_csv(loaded))
        for path in fits:
            table = FitTable.read(path, clips=loaded.clips, beside=BESIDE)
            arrays: dict[str, Any] = pair_fits(table, loaded, windows)
            np.savez_compressed(partial / f"fits-{table.head}.npz", **arrays)
        write_text(partial / "README.md", readme(loaded, reach))
    return len(loaded)


def pairs_csv(pairs: PairFrames) -> str:
    """The pair list as text, a line a pair."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(zip(*(getattr(pairs, name).tolist() for name in COLUMNS), strict=True))
    return text.getvalue()


def pair_fits(fits: FitTable, pairs: PairFrames, windows: np.ndarray) -> dict[str, np.ndarray]:
    """Fits of all pairs: `source_*` (N, ...) and `driving_*` (N, W, ...) of the frames `windows` (N, W)."""
    columns = {
        **{name: _vectors(fits.table, name) for name in (*FIELDS, *BESIDE)},
        "status": fits.status.astype(str),
    }
    sources = zip(pairs.source_clip, pairs.source_frame, strict=True)
    source = np.array([fits.row(clip, int(frame)) for clip, frame in sources])
    drivings = zip(pairs.driving_clip, windows, strict=True)
    driving = np.array([[fits.row(clip, int(frame)) for frame in frames] for clip, frames in drivings])
    sides = {"source": source, "driving": driving}
    found = {f"{side}_{name}": values[rows] for side, rows in sides.items() for name, values in columns.items()}
    return {"pair_id": pairs.pair_id.astype(str), "driving_frames": windows, **found}


def readme(pairs: PairFrames, reach: int) -> str:
    """What each file is."""
    height, width = pairs.size_hw
    return README.format(
        count=len(pairs), width=width, height=height, reach=reach, frames=2 * reach + 1,
        window=FRAMES.format(reach) if reach else "",
    )  # fmt: skip


def _images(pairs: PairFrames, store: ClipStore, row: int, window: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Names and frames of one pair's images."""
    name, clip = pairs.pair_id[row], pairs.driving_clip[row]
    yield f"source/{name}.png", pairs.source_u8[row]
    yield f"driving/{name}.png", pairs.driving_u8[row]
    if len(window) > 1:
        for offset, frame in zip(range(-(len(window) // 2), len(window) // 2 + 1), window, strict=True):
            yield f"window/{name}/{offset:+03d}.png", store.frame(clip, int(frame))


def _write_png(path: Path, frame: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(frame[None])[0])


def _vectors(table: pa.Table, name: str) -> np.ndarray:
    """A column of vectors as an array (rows, width)."""
    chunk = one_chunk(table.column(name))
    return np.asarray(chunk.flatten()).reshape(len(chunk), chunk.type.list_size)
