"""Forget a person or a video: the list that keeps it out, and the removal of what was made of it.

The list is written first, so that a removal that was killed is finished by the next one or by `dvc repro`.
Every file is written aside and exchanged: DVC's cache may hold the same bytes under another link.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pyarrow as pa
import pyarrow.compute as pc

from model.atomic import written_aside
from pipeline.bench.pair_hash import pairs_sha256
from pipeline.cropping.packed import PackedFolder
from pipeline.sources.forgotten import ForgottenList
from pipeline.store.clips import ClipStore, Encoding
from pipeline.store.fits import frame_runs
from pipeline.store.schema import LEDGER, PAIRS, PREDICTIONS, TableWriter, metadata_of, read_table, write_table
from pipeline.store.shown import may_show, whole_video
from pipeline.work.ledger import FORGOTTEN
from pipeline.work.scratch import remove_folders, remove_pieces

OF_PAIRS = ("predictions", "readings")  # kinds of scratch that hold pictures and numbers of all pairs of a list


@dataclass(frozen=True)
class DataFolders:
    """Where what was made of videos lies.

    Attributes:
        clips: packed clips, train and eval.
        fits: one folder a head.
        pairs: the pair list.
        results: predictions and scores, one folder a method.
        scratch: the stores of finished pieces.
        own: frames that users brought, one folder a row (`pipeline.own.frames`).
    """

    clips: Path
    fits: Path
    pairs: Path
    results: Path
    scratch: Path
    own: Path


def forget(name: str, listed: ForgottenList, data: DataFolders, shard_bytes: int) -> list[str]:
    """Put a person or a video on the list and remove its clips, fits, pairs, predictions and scores.

    Args:
        name: of a person, or of a video with all its utterances.
        listed: the list; its file is written.
        data: where to look; folders that do not exist are passed over.
        shard_bytes: as for the stage `crop`, so that its next run packs the same bytes.

    Returns:
        What was removed, a line each.

    Raises:
        ValueError: no ledger knows the name and it is not on the list.
    """
    clips = _clips_of(name, listed, data)
    listed.add(name)
    removed = [_line(remove_pieces(data.scratch, name), "finished pieces", data.scratch)]
    removed.append(
        _line(remove_folders(data.scratch, OF_PAIRS, name), "folders of predictions and readings", data.scratch)
    )
    removed.append(_line(_remove_previews(data.scratch, name), "folders of previews", data.scratch))
    for folder in sorted(path.parent for path in data.clips.glob("*/ledger.parquet")):
        removed.append(_line(_repack(folder, clips, shard_bytes), "clips", folder))
    for path in sorted(data.fits.glob("*/*.parquet")):
        removed.append(_line(_drop_fits(path, clips), "frames", path))
    gone = _drop_pairs(data.pairs, clips) if data.pairs.is_file() else set()
    removed.append(_line(len(gone), "pairs", data.pairs))
    for path in sorted([*data.results.glob("**/predictions.arrow"), *data.own.glob("*/predictions.arrow")]):
        removed.append(_line(_drop_predictions(path, gone), "predictions", path))
    for path in sorted(data.results.glob("**/*.parquet")):
        removed.append(_line(_drop_rows(path, gone), "rows", path))
    return [line for line in removed if line]


def _remove_previews(scratch: Path, name: str) -> int:
    """Remove pictures of training pairs that may show somebody; the states of their runs stay."""
    found = [folder for folder in scratch.glob("*/train/*/previews") if may_show(folder, name)]
    for folder in found:
        shutil.rmtree(folder)
    return len(found)


def _line(count: int, what: str, where: Path) -> str:
    return f"{count} {what} from {where}" if count else ""


def _clips_of(name: str, listed: ForgottenList, data: DataFolders) -> set[str]:
    """Names of the clips of a person or a video, those included that were forgotten before."""
    tables = [read_table(path, LEDGER) for path in sorted(data.clips.glob("*/ledger.parquet"))]
    rows = [row for table in tables for row in table.select(["clip", "person", "video"]).to_pylist()]
    clips = {row["clip"] for row in rows if name in (row["person"], whole_video(row["video"]))}
    if not clips and name not in listed.names:
        raise ValueError(
            f"no person or video is called {name!r} in the ledgers below {data.clips}: nothing was removed; to keep "
            f"out a source that was never cropped, add its name to {listed.path}"
        )
    return clips


def _repack(folder: Path, clips: set[str], shard_bytes: int) -> int:
    """Pack a split's clips again without some; returns how many ledger rows these were."""
    ledger = read_table(folder / "ledger.parquet", LEDGER)
    rows = ledger.to_pylist()
    covered = [row for row in rows if row["clip"] in clips and row["reason"] != FORGOTTEN]
    if not covered:
        return 0
    for row in covered:
        row.update(status=FORGOTTEN, reason=FORGOTTEN, detail="")
    store, facts = ClipStore(folder), metadata_of(ledger)
    encoding = cast(Encoding, facts["encoding"])
    with PackedFolder(folder, encoding, shard_bytes, facts) as packed:
        for row in _rows_one_by_one(store.index.drop_columns(["shard", "batch"])):
            if row["clip"] not in clips:
                packed.add(row, store.images(row["clip"]).to_pylist())
        packed.finish(pa.Table.from_pylist(rows, schema=LEDGER))
    return len(covered)


def _rows_one_by_one(table: pa.Table) -> Iterator[dict]:
    for batch in table.to_batches(max_chunksize=100):
        yield from batch.to_pylist()


def _drop_fits(path: Path, clips: set[str]) -> int:
    """Write a table of fits anew without some clips, one piece a clip, as the stage `fit` does."""
    table = read_table(path)
    runs = frame_runs(table)
    if not clips & runs.keys():
        return 0
    kept = 0
    with TableWriter(path, table.schema, metadata_of(table)) as writer:
        for clip, parts in runs.items():
            for _, first_row, length in parts if clip not in clips else ():
                writer.add(table.slice(first_row, length))
                kept += length
    return table.num_rows - kept


def _drop_pairs(path: Path, clips: set[str]) -> set[str]:
    """Write the pair list anew without pairs of some clips; returns the ids of those left out."""
    table = read_table(path, PAIRS)
    names = pa.array(sorted(clips), pa.string())
    covered = pc.or_(pc.is_in(table["source_clip"], names), pc.is_in(table["driving_clip"], names))
    gone = set(table["pair_id"].filter(covered).to_pylist())
    if gone:
        kept = table.filter(pc.invert(covered))
        write_table(path, kept, {**metadata_of(table), "sha256": pairs_sha256(kept)})
    return gone


def _drop_rows(path: Path, pair_ids: set[str]) -> int:
    table = read_table(path)
    kept = _without(table, pair_ids)
    if kept.num_rows < table.num_rows:
        write_table(path, kept, metadata_of(table))
    return table.num_rows - kept.num_rows


def _drop_predictions(path: Path, pair_ids: set[str]) -> int:
    with pa.memory_map(str(path)) as file, pa.ipc.open_file(file) as reader:
        table = reader.read_all()
        kept = _without(table, pair_ids)
        if kept.num_rows < table.num_rows:
            with written_aside(path) as partial, pa.ipc.new_file(str(partial), PREDICTIONS) as writer:
                writer.write_table(kept)
        return table.num_rows - kept.num_rows


def _without(table: pa.Table, pair_ids: set[str]) -> pa.Table:
    return table.filter(pc.invert(pc.is_in(table["pair_id"], pa.array(sorted(pair_ids), pa.string()))))
