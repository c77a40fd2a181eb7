"""Fit tables in memory: from Parquet rows to the tensors that place a head, and back."""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from model.heads.fit import HeadFit
from model.heads.head import HeadModel
from pipeline.store import schema
from pipeline.store.columns import encoded, numbers, one_chunk, texts, vector_column

FIELDS = ("shape", "expression", "pose", "camera", "tracker_map")
ANGLES = ("yaw_deg", "pitch_deg", "roll_deg")
WHERE = ("clip", "frame", "status")


def _column_tensor(table: pa.Table, name: str) -> Tensor:
    """The same as a tensor, which shares the table's memory: it must not be written to."""
    chunk = one_chunk(table.column(name))
    return torch.from_dlpack(chunk.flatten()).view(len(chunk), chunk.type.list_size)


class FitTable:
    """A fits table with its rows addressable by (clip, frame).

    A million frames are held as the table's own columns and one number a run of frames, not one object a frame.
    """

    def __init__(self, table: pa.Table, where: str = "a fits table") -> None:
        self.table = table
        self.where = where
        self.metadata = schema.metadata_of(table)
        self.head = self.metadata.get("head", "")
        self.status = texts(table.column("status"))
        self._columns = [_column_tensor(table, name) for name in FIELDS]
        self._runs = frame_runs(table)

    @classmethod
    def read(
        cls,
        path: Path,
        head: HeadModel | None = None,
        *,
        clips: Collection[str] | None = None,
        beside: Sequence[str] = (),
    ) -> "FitTable":
        """Read what places a head in its frames: a few columns of a fits table, a fifth of its bytes.

        Args:
            path: the table.
            head: the head it must have been fitted with; None skips the check.
            clips: read the rows of these clips only, as many of them as there are.
            beside: further columns to read.

        Raises:
            ValueError: the table was fitted with another head than `head`; the message names both.
        """
        fits = cls(schema.read_table(path, columns=[*WHERE, *FIELDS, *beside], clips=clips), str(path))
        if head is not None:
            fits.require_head(head, str(path))
        return fits

    def require_head(self, head: HeadModel, where: str) -> None:
        """Refuse a table of another head than `head`."""
        stored = self.metadata.get("head_sha256", "")
        if self.head != head.name or stored != head.sha256:
            raise ValueError(
                f"{where} was fitted with head {self.head!r} ({stored[:12]}), but the model uses {head.name!r} "
                f"({head.sha256[:12]}): run the stage `fit` for head {head.name!r}"
            )

    def row(self, clip: str, frame: int) -> int:
        """Row number of a frame; KeyError names the frame that has no row."""
        for first_frame, first_row, length in self._runs.get(clip, ()):
            if first_frame <= frame < first_frame + length:
                return first_row + frame - first_frame
        raise KeyError(f"no fit for frame {frame} of clip {clip} (head {self.head})")

    def clips(self) -> list[str]:
        """Names of the clips that have rows."""
        return list(self._runs)

    def last_frame(self, clip: str) -> int:
        """Number of a clip's last frame that has a row; KeyError names a clip that has none."""
        if clip not in self._runs:
            raise KeyError(f"no fit of clip {clip} (head {self.head})")
        return max(first + length - 1 for first, _, length in self._runs[clip])

    def ok(self, clip: str, frame: int) -> bool:
        """Whether the frame has a fit with status ok."""
        try:
            return self.status[self.row(clip, frame)] == "ok"
        except KeyError:
            return False

    def one(self, clip: str, frame: int) -> HeadFit:
        """The fit of one frame as a `HeadFit` of one row, which shares the table's memory."""
        row = self.row(clip, frame)
        return HeadFit(*(column[row : row + 1] for column in self._columns))

    def head_fit(self, rows: Sequence[int] | np.ndarray) -> HeadFit:
        """Gather rows as a `HeadFit` of float32 CPU tensors; rows of frames that were not fitted hold NaN.

        Raises:
            ValueError: a row with status ok has a number that is not finite; the message names table, frame and field.
        """
        index = np.asarray(rows, dtype=np.int64)
        parts = [column.index_select(0, torch.from_numpy(index)) for column in self._columns]
        is_ok = torch.from_numpy(self.status[index] == "ok")
        for name, values in zip(FIELDS, parts, strict=True):
            bad = torch.nonzero(~values.isfinite().all(1) & is_ok)
            if len(bad):
                row = int(index[bad[0, 0]])
                clip, frame = (self.table.column(column)[row] for column in ("clip", "frame"))
                raise ValueError(
                    f"{self.where}: {name} of frame {frame} of clip {clip} is not finite, though its status is ok"
                )
        return HeadFit(*parts)

    def angles_deg(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Yaw, pitch and roll of rows, (N, 3) degrees; a table that was read needs `ANGLES` beside."""
        index = np.asarray(rows, dtype=np.int64)
        return np.stack([numbers(self.table.column(n))[index] for n in ANGLES], -1)


def frame_runs(table: pa.Table) -> dict[str, list[tuple[int, int, int]]]:
    """Clip -> its runs of consecutive frames: first frame, first row, length. Truth tables have gaps."""
    if not table.num_rows:
        return {}
    frames = numbers(table.column("frame"))
    codes, names = encoded(table.column("clip"))
    starts = np.flatnonzero((np.diff(codes, prepend=-1) != 0) | (np.diff(frames, prepend=frames[0]) != 1))
    runs: dict[str, list[tuple[int, int, int]]] = {}
    for start, end in zip(starts, [*starts[1:], table.num_rows], strict=True):
        runs.setdefault(names[codes[start]], []).append((int(frames[start]), int(start), int(end - start)))
    return runs


def build_fits(
    head: HeadModel,
    *,
    clip: Sequence[str],
    frame: Sequence[int],
    status: Sequence[str],
    score: np.ndarray,
    residual: np.ndarray,
    fit: HeadFit,
    crop_map: np.ndarray,
    landmarks: np.ndarray,
) -> pa.Table:
    """Assemble a fits table; angles follow from the pose. `landmarks` is (rows, 136) or (rows, 68, 2) in clip ndc."""
    angles = torch.rad2deg(head.yaw_pitch_roll_rad(fit.pose.float())).numpy()
    columns = {
        "clip": pa.array(clip, pa.string()),
        "frame": pa.array(frame, pa.int32()),
        "status": pa.array(status, pa.string()),
        "score": pa.array(np.asarray(score, np.float32)),
        "residual": pa.array(np.asarray(residual, np.float32)),
        **{name: vector_column(getattr(fit, name).numpy()) for name in FIELDS},
        "crop_map": vector_column(crop_map),
        "landmarks": vector_column(np.asarray(landmarks).reshape(len(clip), 136)),
        "yaw_deg": pa.array(angles[:, 0].astype(np.float32)),
        "pitch_deg": pa.array(angles[:, 1].astype(np.float32)),
        "roll_deg": pa.array(angles[:, 2].astype(np.float32)),
    }
    wanted = schema.fits_schema(head.num_shape, head.num_expression, head.num_pose, head.num_camera)
    return pa.table({name: columns[name] for name in wanted.names}, schema=wanted)


def fits_metadata(head: HeadModel, tracker: str, weights_sha256: str) -> dict[str, str]:
    """Metadata of a fits table: who made it, with what, in which units."""
    return {
        "head": head.name,
        "head_sha256": head.sha256,
        "tracker": tracker,
        "weights_sha256": weights_sha256,
        "conventions": "clip ndc: x right, y down, edges at -1 and 1; pose in radians, root joint first; angles in "
        "degrees, yaw>0 to the viewer's right, pitch>0 down, roll>0 counter-clockwise",
    }
