"""Part labels of packed clips: what each pixel of a frame shows, as numbers of `model.method.parts.PARTS`.

One Arrow IPC file a split, a PNG a frame: columns `clip`, `frame` and `png`, a record batch a clip. A file without
clips says in its metadata why there are none.
"""

import json
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa

from model.atomic import written_aside

SCHEMA = pa.schema([("clip", pa.string()), ("frame", pa.int32()), ("png", pa.binary())])
FACTS = b"parts"  # key of the file's own metadata


def write_parts(path: Path, clips: Iterable[tuple[str, Sequence[np.ndarray]]], names: Sequence[str], why: str) -> None:
    """Write the labels of clips, or why there are none.

    Args:
        path: file to write; it appears when it is complete.
        clips: names, and the labels (H, W) uint8 of every frame.
        names: what the numbers mean.
        why: reason for a file without clips; empty where there are some.
    """
    schema = SCHEMA.with_metadata({FACTS: json.dumps({"names": list(names), "why": why})})
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(path) as partial, pa.ipc.new_file(str(partial), schema) as writer:
        for clip, labels in clips:
            pngs = [cv2.imencode(".png", label)[1].tobytes() for label in labels]
            columns = [[clip] * len(pngs), range(len(pngs)), pngs]
            arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
            writer.write_batch(pa.record_batch(arrays, schema=schema))


class PartStore:
    """Labels of packed clips by name; the file stays memory-mapped, and any thread may ask.

    Attributes:
        names: what the numbers mean.
        why: why there are no clips; empty where there are some.

    Raises:
        FileNotFoundError: there is no such file: the stage `parts` writes it.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f"there is no {path}: run the stage `parts` (dvc repro parts)")
        self._reader = pa.ipc.open_file(pa.memory_map(str(path)))
        facts = json.loads(self._reader.schema.metadata[FACTS])
        self.names, self.why = tuple[str, ...](facts["names"]), str(facts["why"])
        self._reading = threading.Lock()  # Arrow does not promise that one reader serves several threads
        batches = range(self._reader.num_record_batches)
        self._place = {self._reader.get_batch(number).column(0)[0].as_py(): number for number in batches}

    def clips(self) -> list[str]:
        """Names of all clips that have labels."""
        return list(self._place)

    def labels(self, clip: str, frame: int) -> np.ndarray:
        """Labels (H, W) uint8 of a frame of a clip.

        Raises:
            KeyError: the clip has none; the message names it.
            ValueError: the file is damaged.
        """
        if clip not in self._place:
            raise KeyError(f"{self.path} has no labels of clip {clip}: run the stage `parts` again")
        with self._reading:
            png = self._reader.get_batch(self._place[clip]).column(2)[frame].as_buffer()
        found = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
        if found is None:
            raise ValueError(f"{self.path}: labels of clip {clip} cannot be decoded: the file is damaged")
        return np.asarray(found)
