"""One split's folder of packed clips - shards, index.parquet, ledger.parquet - written aside and exchanged whole."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from pipeline.store.clips import ClipWriter, Encoding
from pipeline.store.schema import INDEX, write_table

ROWS_HELD = 1000  # as Python objects; an index row holds a number for every frame


class PackedFolder:
    """Collects clips and replaces `folder` by `finish`; use as a context manager, which clears up after a failure.

    Memory stays flat: images go to the shards at once, index rows are kept as Arrow columns.

    Args:
        folder: where the clips shall lie.
        encoding, shard_bytes: see `ClipWriter`.
        facts: metadata of both tables.
    """

    def __init__(self, folder: Path, encoding: Encoding, shard_bytes: int, facts: dict[str, str]) -> None:
        self._folder, self._facts = folder, facts
        self._partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(self._partial, ignore_errors=True)
        self._writer = ClipWriter(self._partial, encoding, shard_bytes)
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
        """Close the shards, write both tables and put the folder in its place; `ledger` has schema `LEDGER`."""
        self._writer.close()
        self._condense()
        index = pa.concat_tables(self._tables).combine_chunks()
        write_table(self._partial / "index.parquet", index, self._facts)
        write_table(self._partial / "ledger.parquet", ledger, self._facts)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._partial.rename(self._folder)

    def __enter__(self) -> "PackedFolder":
        return self

    def __exit__(self, *exception: object) -> None:
        self._writer.close()
        shutil.rmtree(self._partial, ignore_errors=True)
