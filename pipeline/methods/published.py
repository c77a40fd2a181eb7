"""Rows of a published system: which there are, why some have no numbers, and what a reader has to know.

A system's models and results have a folder a source below its name: `official`, its released weights, or the recipe by
which it was trained here. `rows.json` beside them says which rows there are.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.method_table import RETRAINED
from pipeline.methods.release import OFFICIAL
from pipeline.store.provenance import write_json

ROWS, OWN_CROP = "rows.json", "own_crop"


@dataclass(frozen=True)
class PublishedRow:
    """One row of a published system.

    Attributes:
        source: `official` or a recipe.
        own_crop: whether it is run in the system's own crop instead of the shared one.
        absent: why it has no numbers; empty where it has a model.
        notes: what a reader has to know.
    """

    source: str
    own_crop: bool = False
    absent: str = ""
    notes: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """Its folder below the system's results."""
        return f"{self.source}/{OWN_CROP}" if self.own_crop else self.source


def sources_of(system: str, named: Sequence[str], recipe: str) -> list[str]:
    """Where a system's models come from: the sources that `bench.baselines` names, in their order.

    A system that the paper trained anew is trained here as well where released weights alone are asked for: its own
    were made for another head, so that they stand for nothing in the tables.

    Args:
        system: name of the system.
        named: `bench.baselines`.
        recipe: `bench.recipe`, by which whatever is trained here is trained.
    """
    if system in RETRAINED and recipe not in named:
        return [recipe if source == OFFICIAL else source for source in named]
    return list(named)


def write_rows(folder: Path, rows: Iterable[PublishedRow]) -> None:
    """Write which rows a system has into the folder of its models or results."""
    write_json(folder / ROWS, [asdict(row) for row in rows])


def read_rows(folder: Path) -> list[PublishedRow]:
    """Read what `write_rows` wrote.

    Raises:
        FileNotFoundError: there is none; the message names the stage that makes it.
    """
    path = folder / ROWS
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}: run the stages `baseline` and `evaluate` for {folder.name}")
    return [PublishedRow(**{**row, "notes": tuple(row["notes"])}) for row in json.loads(path.read_text())]
