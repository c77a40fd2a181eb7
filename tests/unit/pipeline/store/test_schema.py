"""Parquet tables that are written in pieces."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.store.schema import LOOSE, ROW_GROUP, TableWriter, metadata_of, read_table, vector, write_table

SCHEMA = pa.schema([("clip", pa.string()), ("frame", pa.int32()), ("codes", vector(5))])


def rows(first: int, count: int) -> pa.Table:
    numbers = np.arange(first, first + count)
    codes = np.sin(numbers[:, None] * np.arange(1, 6)).astype(np.float32)
    names = [f"clip{n // 7}" for n in numbers]
    arrays = [pa.array(names), pa.array(numbers, pa.int32()), pa.FixedSizeListArray.from_arrays(codes.ravel(), 5)]
    return pa.table([array.cast(field.type) for array, field in zip(arrays, SCHEMA, strict=True)], schema=SCHEMA)


@pytest.mark.parametrize("piece", [4, 997, ROW_GROUP, ROW_GROUP + 1])
def test_bytes_depend_on_the_rows_alone(tmp_path, piece):
    total = 2 * ROW_GROUP + 123
    write_table(tmp_path / "whole.parquet", rows(0, total), {"head": "x"})
    with TableWriter(tmp_path / "pieces.parquet", SCHEMA, {"head": "x"}) as writer:
        for first in range(0, total, piece):
            writer.add(rows(first, min(piece, total - first)))
    assert (tmp_path / "pieces.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert read_table(tmp_path / "pieces.parquet").equals(rows(0, total))


def test_a_writer_holds_few_pieces_and_less_than_a_row_group(tmp_path):
    with TableWriter(tmp_path / "pieces.parquet", SCHEMA) as writer:
        for first in range(0, 3 * ROW_GROUP, 4):
            writer.add(rows(first, 4))
            assert writer._held.num_rows < ROW_GROUP
            assert writer._held.column(0).num_chunks <= LOOSE


def write_and_stop(path, pieces, error=None):
    with TableWriter(path, pieces[0].schema) as writer:
        for piece in pieces:
            writer.add(piece)
        if error:
            raise error


def test_an_unfinished_table_leaves_the_old_one(tmp_path):
    path, old = tmp_path / "table.parquet", pa.table({"value": [1, 2]})
    write_table(path, old)
    whole = pa.table({"value": range(ROW_GROUP)})  # whole row groups, so the new file is begun
    with pytest.raises(RuntimeError, match="stopped"):
        write_and_stop(path, [whole, whole], RuntimeError("stopped"))
    with pytest.raises(ValueError, match="schema"):  # found when the last rows are written, as the block ends
        write_and_stop(path, [whole, pa.table({"other": ["x"]})])
    assert read_table(path).equals(old)
    assert list(tmp_path.iterdir()) == [path]


def test_the_rows_of_some_clips_come_from_the_groups_that_hold_them(tmp_path, monkeypatch):
    total = 3 * ROW_GROUP
    write_table(tmp_path / "t.parquet", rows(0, total), {"head": "x"})
    path, edge = tmp_path / "t.parquet", ROW_GROUP // 7  # the clip in which the second group begins
    wanted = {"clip0", f"clip{edge}", "no such clip"}
    whole = read_table(path)
    numbers = [n for n in range(total) if n // 7 in (0, edge)]
    read, asked = pq.ParquetFile.read_row_group, []
    monkeypatch.setattr(
        pq.ParquetFile, "read_row_group", lambda f, n, columns: asked.append((n, columns)) or read(f, n, columns)
    )
    some = read_table(path, columns=["frame", "clip", "codes"], clips=wanted)
    assert some["frame"].to_pylist() == numbers
    assert some["codes"].equals(whole.take(numbers)["codes"])
    assert some.column_names == ["frame", "clip", "codes"]
    assert metadata_of(some) == metadata_of(whole)
    assert [n for n, columns in asked if "codes" in columns] == [0, 1]
    assert read_table(path, clips=wanted).equals(whole.take(numbers))
    none = read_table(path, columns=["clip", "codes"], clips=[])
    assert (none.num_rows, none.schema.field("codes").type) == (0, SCHEMA.field("codes").type)


def test_rows_of_clips_of_a_table_without_clips_are_refused(tmp_path):
    write_table(tmp_path / "t.parquet", rows(0, 3).drop_columns("clip"))
    with pytest.raises(ValueError, match=r"t\.parquet lacks the columns clip"):
        read_table(tmp_path / "t.parquet", clips=["a"])
