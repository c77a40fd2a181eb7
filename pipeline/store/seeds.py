"""Where the seeds of a row lie: the first in the row's own folder, the others in `seeds/<seed>` below it.

So it is in a trained model and in its results. A row of one seed has no folder `seeds`.
"""

import shutil
from collections.abc import Collection
from pathlib import Path

SEEDS = "seeds"


def seed_folder(row: Path, seed: int, first: int) -> Path:
    """Folder of one seed of a row whose first seed is `first`."""
    return row if seed == first else row / SEEDS / str(seed)


def further_seeds(row: Path) -> list[int]:
    """Seeds of a row beside its first, in order.

    Raises:
        ValueError: something in the row's folder `seeds` is not called by a seed.
    """
    names = [path.name for path in (row / SEEDS).glob("*") if path.is_dir()]
    odd = [name for name in names if not name.removeprefix("-").isdecimal()]
    if odd:
        raise ValueError(f"{row / SEEDS} holds {odd[0]!r}, which is no seed: remove it")
    return sorted(int(name) for name in names)


def seed_folders(row: Path) -> list[Path]:
    """Folders of all seeds of a row, the first one's ahead."""
    return [row, *(row / SEEDS / str(seed) for seed in further_seeds(row))]


def keep_seeds(row: Path, seeds: Collection[int]) -> None:
    """Remove what an earlier run left of other seeds than these; the first seed's files stay."""
    for seed in set(further_seeds(row)) - set(seeds):
        shutil.rmtree(row / SEEDS / str(seed))
    if (row / SEEDS).is_dir() and not further_seeds(row):
        (row / SEEDS).rmdir()
