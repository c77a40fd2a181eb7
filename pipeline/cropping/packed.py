"""One split's folder of packed clips - shards, index.parquet, ledger.parquet - written aside and exchanged whole."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa

from model.atomic import written_aside
from pipeline.store.clips import ClipWriter, Encoding
from pipeline.store.schema import INDEX, write_table

ROWS_HELD = 1000  # as Python objects; an index row holds a number for every frame


class PackedFolder:
    """Collects clips and replaces `folder` when the block ends well; use as a context manager, `finish` at its end.

    Memory stays flat: images go to the shards at once, index rows are kept as Arrow columns.

    Args:
        folder: where the clips shall lie.
        encoding, shard_bytes: see `ClipWriter`.
        facts: metadata of both tables.
    """

    def __init__(self, folder: Path, encoding: Encoding, shard_bytes: int, facts: dict[str, str]) -> None:
        self._folder, self._facts = folder, facts
        self._encoding, self._shard_bytes, self._stack = encoding, shard_bytes, ExitStack()
        self._tables: list[pa.Table] = []
        self._held: list[dict] = []
        self._clips = 0

    def add(self, row: dict, images: Sequence[bytes]) -> None:
        """Append a clip: its index row without `shard` and `batch`, and its encoded frames."""
        shard, batch = self._writer.add(self._clips, images)
        self._clips += 1
        self._held.append({**row, "shard": shard, "batch": batch})
        if len(self._held) == ROWS_HELD:
            self._condense()

    def _condense(self) -> None:
        self._tables.append(pa.Table.from_pylist(self._held, schema=INDEX))
        self._held = []

    def finish(self, ledger: pa.Table) -> None:
        """Write both tables; the folder gets its place when the block ends. `ledger` has schema `LEDGER`."""
        self._condense()
        index = pa.concat_tables(self._tables).combine_chunks()
        write_table(self._partial / "index.parquet", index, self._facts)
        write_table(self._partial / "ledger.parquet", ledger, self._facts)

    def __enter__(self) -> "PackedFolder":
        self._partial = self._stack.enter_context(written_aside(self._folder))
        self._writer = self._stack.enter_context(ClipWriter(self._partial, self._encoding, self._shard_bytes))
        return self

    def __exit__(self, *exception: Any) -> None:
        self._stack.__exit__(*exception)
