"""Bring the part labels of a data set along with its packed training clips."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from model.method.parts import PARTS
from pipeline.console import say, track
from pipeline.parts.labels import FOLDER, SUFFIX, LabelledVideo, cropped
from pipeline.store.clips import ClipStore
from pipeline.store.parts import write_parts


def bring_parts(clips: Path, sources: Mapping[str, Path], methods: list[str], out: Path) -> None:
    """Write the labels of all clips, or why there are none.

    Args:
        clips: folder of packed training clips.
        sources: name of a data set -> its folder.
        methods: methods that learn from part labels.
        out: file to write (`pipeline.store.parts`).

    Raises:
        ValueError: labels are there, but of another form; the message names the file.
    """
    why = "" if methods else "no method of this profile learns from part labels"
    store = ClipStore(clips)
    rows = [] if why else store.index.select(["clip", "dataset", "video", "crop_map", "frame_index"]).to_pylist()
    files = {row["clip"]: sources[row["dataset"]] / FOLDER / f"{row['video']}{SUFFIX}" for row in rows}
    missing = [file for file in files.values() if not file.is_file()]
    if missing:
        why = (
            f"{', '.join(methods)} learn from part labels, and {len(missing)} of {len(rows)} training clips have none: "
            f"there is no {missing[0].parent.name}/{missing[0].name} in the data set's folder (docs/sources.md)"
        )

    def labelled() -> Iterator[tuple[str, list[np.ndarray]]]:
        for row in track(iter(rows), "parts", len(rows)):
            video, to_clip = LabelledVideo(files[row["clip"]]), np.array(row["crop_map"]).reshape(2, 3)
            side = store.frame(row["clip"], 0).shape[0]
            yield row["clip"], [cropped(video.labels(frame), to_clip, side) for frame in row["frame_index"]]

    write_parts(out, () if why else labelled(), PARTS, why)
    say(f"parts: {why or f'labels of {len(rows)} clips -> {out}'}")
