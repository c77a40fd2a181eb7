"""Columns of tables as numpy arrays, and back: neither torch nor pandas, which Arrow's own `to_numpy` would import."""

import numpy as np
import pyarrow as pa


def one_chunk(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array, without copying where it is one."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def numbers(column: pa.ChunkedArray) -> np.ndarray:
    """View a column of numbers, none of them null, as (rows,); read only."""
    return array_numbers(one_chunk(column))


def array_numbers(array: pa.Array) -> np.ndarray:
    """View an Arrow array of numbers, none of them null, as (rows,); read only."""
    return np.from_dlpack(array)


def texts(column: pa.ChunkedArray) -> np.ndarray:
    """A text column as (rows,) objects; equal texts are one object."""
    codes, names = encoded(column)
    return np.array(names, object)[codes]


def encoded(column: pa.ChunkedArray) -> tuple[np.ndarray, list[str]]:
    """A text column as numbers into its distinct values."""
    whole = column.combine_chunks().dictionary_encode()
    return array_numbers(whole.indices), whole.dictionary.to_pylist()


def column_array(table: pa.Table, name: str) -> np.ndarray:
    """View a fixed-size vector column as (rows, length) float32 without copying where Arrow allows it; read only."""
    chunk = one_chunk(table.column(name))
    return array_numbers(chunk.flatten()).reshape(len(chunk), chunk.type.list_size)


def vector_column(values: np.ndarray) -> pa.FixedSizeListArray:
    """Turn (rows, length) numbers into a fixed-size float32 vector column."""
    values = np.ascontiguousarray(values, dtype=np.float32)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])
