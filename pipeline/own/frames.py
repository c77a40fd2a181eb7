"""Frames that somebody else's method made of the pairs, packed once and held to their hash.

They lie beside the imported assets, in `<assets>/own/<name>/`: `predictions.arrow`, and `row.json` with what the tables
say of the row. `bench.own` in params.yaml has the hash of both, so that DVC scores them again when they change.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.store.assets import assets_dir
from pipeline.store.provenance import sha256_file, sha256_text

PACKED = "predictions.arrow"
ROW = "row.json"
ROWS = "rows.json"  # in the results of the stage `own`
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


@dataclass(frozen=True)
class OwnRow:
    """What the tables say of a row that users brought.

    Attributes:
        label: name of the method in the tables.
        link: where it is described; empty where it is nowhere.
        trained_on_data: whether it was trained on the data sets of these tables; None where nobody said.
        pairs_sha256: hash of the pair list that its frames are of.
        absent: why it has no numbers; empty where it has.
    """

    label: str
    link: str
    trained_on_data: bool | None
    pairs_sha256: str
    absent: str = ""


def check_name(name: str) -> str:
    """Return a row's name, or raise ValueError: names become folders, and never are a row's of another kind."""
    from pipeline.bench.tasks import CONTROL_TASKS

    if not _NAME.fullmatch(name) or name in CONTROL_TASKS:
        raise ValueError(f"name {name!r}: small letters, digits, - and _, at most 40, and no control ({_controls()})")
    return name


def own_dir(name: str) -> Path:
    """Folder of a row's packed frames."""
    return assets_dir() / "own" / name


def own_sha256(name: str) -> str | None:
    """Hash of a row's packed frames and of what is said of it; None where there are none."""
    files = [own_dir(name) / file for file in (PACKED, ROW)]
    return sha256_text([sha256_file(file) for file in files]) if all(file.is_file() for file in files) else None


def read_row(name: str) -> OwnRow:
    """Read what is said of a row that was brought."""
    return OwnRow(**json.loads((own_dir(name) / ROW).read_text()))


def row_text(row: OwnRow) -> str:
    """Write `row.json`, with stable bytes."""
    return json.dumps(asdict(row), indent=2, sort_keys=True) + "\n"


def scored_rows(results: Path) -> Mapping[str, OwnRow]:
    """Rows that the stage `own` looked at, by name; none where it has not run."""
    path = results / "own" / ROWS
    found = json.loads(path.read_text()) if path.is_file() else {}
    return {name: OwnRow(**row) for name, row in found.items()}


def _controls() -> str:
    from pipeline.bench.tasks import CONTROL_TASKS

    return ", ".join(CONTROL_TASKS)
