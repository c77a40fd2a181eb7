"""Every table that passes between stages: columns, units, and the atomic writer.

Vectors are FixedSizeList<float32>, stored with byte-stream split under zstd. Files are written to a
temporary name and renamed, and their bytes depend on the content alone.
"""

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from model.atomic import written_aside
from pipeline.store.provenance import plain_path

SCHEMA_VERSION = "1"
ROW_GROUP = 10_000
CLIP = ["clip"]
LOOSE = 64  # pieces that a writer holds apart: Arrow spends kilobytes on each, however short


def vector(length: int) -> pa.DataType:
    """Type of a fixed-length float32 vector."""
    return pa.list_(pa.float32(), length)


# One row a clip that was cropped. `start`, `end`: frames at 25 fps in the source; `crop_map`: row-major
# 2x3 map from source-video px to clip ndc, squeeze included; `frame_index`: the source-video frame
# number of every clip frame; `shard`, `batch`: where the frames lie.
INDEX = pa.schema(
    [
        ("clip", pa.string()),
        ("dataset", pa.string()),
        ("split", pa.string()),
        ("person", pa.string()),
        ("video", pa.string()),
        ("start", pa.int32()),
        ("end", pa.int32()),
        ("fps", pa.float64()),
        ("num_frames", pa.int32()),
        ("source_width", pa.int32()),
        ("source_height", pa.int32()),
        ("crop_map", vector(6)),
        ("frame_index", pa.list_(pa.int32())),
        ("shard", pa.string()),
        ("batch", pa.int32()),
    ]
)

# One row a clip asked for: rows in = rows out. `status` is ok, failed, missing or forgotten.
LEDGER = pa.schema(
    [
        ("dataset", pa.string()),
        ("split", pa.string()),
        ("clip", pa.string()),
        ("person", pa.string()),
        ("video", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
    ]
)

# One row a pair of frames, one list for all methods. `task` is same or cross.
PAIRS = pa.schema(
    [
        ("pair_id", pa.string()),
        ("dataset", pa.string()),
        ("task", pa.string()),
        ("source_clip", pa.string()),
        ("source_frame", pa.int32()),
        ("driving_clip", pa.string()),
        ("driving_frame", pa.int32()),
        ("source_person", pa.string()),
        ("driving_person", pa.string()),
    ]
)

# One row a pair and metric, from which every table, interval and test is computed; NaN is a failure.
SCORES = pa.schema(
    [
        ("pair_id", pa.string()),
        ("dataset", pa.string()),
        ("task", pa.string()),
        ("method", pa.string()),
        ("metric", pa.string()),
        ("value", pa.float64()),
    ]
)

# One lossless frame a pair.
PREDICTIONS = pa.schema([("pair_id", pa.string()), ("png", pa.binary())])


def features_schema(num_features: int) -> pa.Schema:
    """Pooled features of each pair's generated and reference frame (`role`), for the Frechet distance.

    `metric` is the id of the column, as in `SCORES`: one file a column, since instruments differ in width.
    """
    return pa.schema(
        [
            ("pair_id", pa.string()),
            ("dataset", pa.string()),
            ("task", pa.string()),
            ("method", pa.string()),
            ("metric", pa.string()),
            ("role", pa.string()),
            ("features", vector(num_features)),
        ]
    )


def fits_schema(num_shape: int, num_expression: int, num_pose: int, num_camera: int) -> pa.Schema:
    """One row a frame: a row alone places the mesh in its clip's frame.

    `status` is ok or a reason; codes as in `model.heads.fit.HeadFit`; `crop_map` source-video px -> clip
    ndc; `landmarks` x0, y0, x1, ... in clip ndc; `residual` rms landmark distance of the fit as a share
    of the outer-eye distance (NaN where the tracker has none); angles in degrees.
    """
    return pa.schema(
        [
            ("clip", pa.string()),
            ("frame", pa.int32()),
            ("status", pa.string()),
            ("score", pa.float32()),
            ("residual", pa.float32()),
            ("shape", vector(num_shape)),
            ("expression", vector(num_expression)),
            ("pose", vector(num_pose)),
            ("camera", vector(num_camera)),
            ("tracker_map", vector(6)),
            ("crop_map", vector(6)),
            ("landmarks", vector(136)),
            ("yaw_deg", pa.float32()),
            ("pitch_deg", pa.float32()),
            ("roll_deg", pa.float32()),
        ]
    )


def write_table(path: Path, table: pa.Table, metadata: dict[str, str] | None = None) -> None:
    """Write a table atomically as Parquet; `metadata` goes into the file's schema."""
    with TableWriter(path, table.schema, metadata) as writer:
        writer.add(table)


class TableWriter:
    """Writes a table in pieces, as `write_table` writes them all at once; at most a row group is held.

    Use as a context manager: the file appears when the block ends well. The bytes depend on the rows alone, not
    on where one piece ends and the next begins.

    Args:
        path: the Parquet file.
        schema: of the file where no piece is added; else it is the first piece's, with its fields' metadata.
        metadata: goes into the file's schema.
    """

    def __init__(self, path: Path, schema: pa.Schema, metadata: dict[str, str] | None = None) -> None:
        merged = {"schema_version": SCHEMA_VERSION, **(metadata or {})}
        self._path, self._stack = Path(path), ExitStack()
        self._metadata = {k: str(merged[k]) for k in sorted(merged)}
        self._held = schema.empty_table()
        self._writer: pq.ParquetWriter | None = None

    def add(self, table: pa.Table) -> None:
        """Append rows."""
        self._held = pa.concat_tables([self._held, table]) if self._held.num_rows else table
        if self._held.column(0).num_chunks > LOOSE:
            self._held = self._held.combine_chunks()
        while self._held.num_rows >= ROW_GROUP:
            self._write(self._held.slice(0, ROW_GROUP))
            self._held = self._held.slice(ROW_GROUP)

    def _write(self, rows: pa.Table) -> None:
        rows = rows.combine_chunks().replace_schema_metadata(self._metadata)
        if self._writer is None:
            vectors = [f.name for f in rows.schema if pa.types.is_fixed_size_list(f.type)]
            self._writer = pq.ParquetWriter(
                plain_path(self._partial),
                rows.schema,
                compression="zstd",
                compression_level=1,
                use_dictionary=[f.name for f in rows.schema if pa.types.is_string(f.type)],
                use_byte_stream_split=[f"{name}.list.element" for name in vectors],
            )
        self._writer.write_table(rows, row_group_size=ROW_GROUP)

    def __enter__(self) -> "TableWriter":
        self._partial = self._stack.enter_context(written_aside(self._path))
        self._stack.push(self._end)
        return self

    def __exit__(self, *exception: Any) -> None:
        self._stack.__exit__(*exception)

    def _end(self, kind: type[BaseException] | None, *_: object) -> None:
        """Write what is held, if all went well, and close the file before it gets its name."""
        if kind is None and (self._held.num_rows or self._writer is None):
            self._write(self._held)
        if self._writer is not None:
            self._writer.close()


def read_table(
    path: Path,
    expected: pa.Schema | None = None,
    columns: Sequence[str] | None = None,
    clips: Collection[str] | None = None,
) -> pa.Table:
    """Read a Parquet table, or some of its columns or the rows of some clips, with one chunk a column.

    Of a table with a column `clip` what is not wanted is held for a row group at most, or not read at all.

    The file is opened as such: `pq.read_table` would import Arrow's data sets and with them pandas, a second of
    every stage's start.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not Parquet, or lacks one of `columns` or of `expected`; the message names both.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no table at {path}: run the stage that writes it")
    try:
        with pq.ParquetFile(plain_path(path)) as file:
            there = file.schema_arrow.names
            wanted = [*(columns or ()), *(() if expected is None else expected.names), *(() if clips is None else CLIP)]
            missing = [name for name in wanted if name not in there]
            if missing:
                raise ValueError(f"{path} lacks the columns {', '.join(missing)}; it has {', '.join(there)}")
            table = file.read(columns=columns) if clips is None else _rows_of_clips(file, columns, clips)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path} is not a readable Parquet table: {error}") from error
    return table.combine_chunks()


def _rows_of_clips(file: pq.ParquetFile, columns: Sequence[str] | None, clips: Collection[str]) -> pa.Table:
    """Go through the row groups; all columns are read only of those that hold one of the clips."""
    wanted = pa.array(sorted(clips), pa.string())
    parts = [file.read_row_groups([], columns=columns)]
    for number in range(file.num_row_groups):
        found = pc.is_in(file.read_row_group(number, columns=CLIP)["clip"], wanted)
        if pc.any(found).as_py():
            parts.append(file.read_row_group(number, columns=columns).filter(found))
    return pa.concat_tables(parts)


def metadata_of(table: pa.Table) -> dict[str, str]:
    """Return a table's metadata as text."""
    return {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items() if k != b"ARROW:schema"}
