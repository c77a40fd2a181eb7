"""Part labels of videos, as a data set brings them: `<folder>/labels/<video>.arrow`, a PNG a frame.

The file is Arrow IPC with columns `frame` (the video's frame number) and `png` (one channel of 8 bits, as large as the
frame); its metadata `parts` names what the numbers mean, in their order and with commas between them. Profile `puppets`
renders such files; whoever segments real videos writes them in the same form (docs/sources.md).
"""

from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa

from model.method.parts import PARTS

FOLDER, SUFFIX = "labels", ".arrow"


class LabelledVideo:
    """Labels of one video, in the numbers of `model.method.parts.PARTS`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it has another form, or names parts that are none of `PARTS`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with pa.memory_map(str(path)) as file, pa.ipc.open_file(file) as reader:
                table = reader.read_all()
        except pa.ArrowInvalid as error:
            raise ValueError(f"{path} is no Arrow file ({error})") from error
        if missing := {"frame", "png"} - set(table.column_names):
            raise ValueError(f"{path} lacks the column {' and '.join(sorted(missing))}")
        named = (table.schema.metadata or {}).get(b"parts", b"").decode()
        names = named.split(",") if named else []
        if strange := [name for name in names if name not in PARTS]:
            raise ValueError(f"{path} names the part {strange[0]!r}; there are {', '.join(PARTS)}")
        if not names:
            raise ValueError(f"{path} does not say what its numbers mean: its metadata `parts` names none")
        self._numbers = np.array([PARTS.index(name) for name in names], np.uint8)
        self._frames = dict(zip(table["frame"].to_pylist(), table["png"].to_pylist(), strict=True))

    def labels(self, frame: int) -> np.ndarray:
        """Labels (H, W) uint8 of a frame of the video.

        Raises:
            ValueError: it has none, or they are no numbers of named parts.
        """
        if frame not in self._frames:
            raise ValueError(f"{self._path} has no labels of frame {frame}")
        found = cv2.imdecode(np.frombuffer(self._frames[frame], np.uint8), cv2.IMREAD_UNCHANGED)
        if found is None or found.ndim != 2 or found.dtype != np.uint8:
            raise ValueError(f"{self._path}: the labels of frame {frame} are no PNG of one channel of 8 bits")
        if found.max() >= len(self._numbers):
            raise ValueError(
                f"{self._path}: frame {frame} has the number {found.max()}, but {len(self._numbers)} parts are named"
            )
        return self._numbers[found]


def cropped(labels: np.ndarray, crop_map: np.ndarray, size_px: int) -> np.ndarray:
    """What most of each pixel of a clip's frame shows.

    Args:
        labels: (H, W) of the video's frame.
        crop_map: (2, 3) from the video's px to the clip's ndc, without rotation (`pipeline.cropping.clip.crop_map`).
        size_px: side of the clip's frames.

    Returns:
        (size_px, size_px) uint8; of equal shares the smaller number counts.
    """
    left, top = (np.round((-1 - crop_map[axis, 2]) / crop_map[axis, axis]).astype(int) for axis in (0, 1))
    right, bottom = (np.round((1 - crop_map[axis, 2]) / crop_map[axis, axis]).astype(int) for axis in (0, 1))
    inside = labels[top:bottom, left:right]
    present = np.unique(inside)
    size = (size_px, size_px)
    shares = [cv2.resize((inside == part).astype(np.float32), size, interpolation=cv2.INTER_AREA) for part in present]
    return present[np.argmax(shares, axis=0)].astype(np.uint8)
