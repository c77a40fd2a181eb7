"""By how much two files differ that should be equal: tables, checkpoints, and the numbers of a text."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?|-?\d+")
TEXTS = (".json", ".csv", ".md", ".html", ".txt")


def largest_difference(before: Path, again: Path) -> float | str:
    """The largest difference relative to the largest number of its column, tensor or text, or why there is none."""
    if before.suffix in TEXTS:
        pairs = _of_texts(before.read_text(), again.read_text())
    elif before.suffix == ".parquet":
        pairs = _of_tables(pq.read_table(before), pq.read_table(again))
    elif before.suffix == ".safetensors":
        pairs = _of_tensors(before, again)
    else:
        return "different bytes"
    amounts = [_relative(old, new) for old, new in pairs]
    if any(amount is None for amount in amounts):
        return "different sizes"
    largest = max((amount for amount in amounts if amount is not None), default=0.0)
    return largest or "equal numbers, different bytes"


def _relative(old: np.ndarray, new: np.ndarray) -> float | None:
    if old.shape != new.shape:
        return None
    off = np.nanmax(np.abs(old - new), initial=0.0)
    return float(off / max(np.nanmax(np.abs(old), initial=0.0), 1e-300)) if off else 0.0


def _of_texts(old: str, new: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    yield tuple(np.array([float(number) for number in NUMBER.findall(text)]) for text in (old, new))  # type: ignore[misc]


def _of_tables(old: pa.Table, new: pa.Table) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for name in old.column_names:
        columns = [table.column(name).combine_chunks() for table in (old, new)]
        while pa.types.is_fixed_size_list(columns[0].type) or pa.types.is_list(columns[0].type):
            columns = [column.flatten() for column in columns]
        if pa.types.is_floating(columns[0].type) or pa.types.is_integer(columns[0].type):
            first, second = (column.to_numpy(zero_copy_only=False).astype(float) for column in columns)
            yield first, second


def _of_tensors(old: Path, new: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    from safetensors.numpy import load_file

    first, second = load_file(old), load_file(new)
    for name, values in first.items():
        if np.issubdtype(values.dtype, np.number):
            yield values.astype(float), second[name].astype(float)
