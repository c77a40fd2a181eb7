"""What became of every clip and frame, in a few lines."""

from pathlib import Path

import pyarrow.compute as pc

from pipeline.bench.pair_frames import subset_sha256
from pipeline.store.clips import FOLDERS, ClipStore
from pipeline.store.schema import LEDGER, metadata_of, read_table
from pipeline.work.ledger import LedgerRow, summary


def data_status(clips: Path, fits: Path, pairs: Path) -> list[str]:
    """Counts by reason of crop and of every head's fits, the hash of each subset, and that of the pairs.

    Args:
        clips: packed clips, train and eval.
        fits: one folder a head; may be missing.
        pairs: the pair list; may be missing.

    Raises:
        FileNotFoundError: nothing was cropped yet.
    """
    lines = []
    for folder in FOLDERS.values():
        ledger = read_table(clips / folder / "ledger.parquet", LEDGER).drop_columns("status")
        store = ClipStore(clips / folder)
        frames = pc.sum(store.index["num_frames"]).as_py() or 0
        lines.append(f"clips {folder}: {len(store.clips())} with {frames} frames, subset {subset_sha256(store)[:16]}")
        lines += [f"  {line}" for line in summary([LedgerRow(**row) for row in ledger.to_pylist()])]
    for path in sorted(fits.glob("*/*.parquet")):
        counts = read_table(path, columns=["status"])["status"].value_counts().to_pylist()
        said = ", ".join(f"{c['counts']} {c['values']}" for c in sorted(counts, key=lambda c: c["values"]))
        lines.append(f"fits {path.parent.name} {path.stem}: {said or 'no frames'}")
    if pairs.is_file():
        table = read_table(pairs)
        lines.append(f"pairs: {table.num_rows}, sha256 {metadata_of(table)['sha256'][:16]}")
    return lines
