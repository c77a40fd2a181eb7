"""A CSV that grows by whole lines while a run goes on, so that whoever reads it meanwhile finds no half a row."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pipeline.store.provenance import write_text

Row = Mapping[str, object]


class GrowingTable:
    """Rows of a run by step; the columns are those of the first row.

    Args:
        path: the file; its folder is made if need be.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._columns: list[str] = []

    def begin(self, rows: Sequence[Row]) -> None:
        """Start with the rows that the run has already, and no others: what was written after its last state goes.

        Raises:
            RuntimeError: it cannot be written (a full disk); the message names the file. `add` raises it, too.
        """
        self._columns = list(rows[0]) if rows else []
        with self._writing():
            if rows:
                write_text(self.path, table_text(rows, self._columns))
            else:
                self.path.unlink(missing_ok=True)

    def add(self, row: Row) -> None:
        """Write one more row."""
        if not self._columns:
            self.begin([row])
            return
        with self._writing(), self.path.open("a", newline="") as stream:
            stream.write(_lines([row], self._columns))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RuntimeError(
                f"{self.path} cannot be written ({error.strerror}): make room or make it writable, then run it again "
                "to resume"
            ) from error


def table_text(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """Header and rows: the step as it is, every other number to six digits, None as nothing."""
    return ",".join(columns) + "\n" + _lines(rows, columns)


def rows_until(path: Path, step: int) -> list[dict[str, str]]:
    """Rows of a table up to a step; none where there is no file. A last line that was cut off is none of them."""
    if not path.exists():
        return []
    whole, _, _ = path.read_text().rpartition("\n")
    return [row for row in csv.DictReader(io.StringIO(whole)) if int(row["step"]) <= step]


def _lines(rows: Iterable[Row], columns: Sequence[str]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writerows({name: _shown(name, value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _shown(name: str, value: object) -> object:
    return f"{value:.6g}" if isinstance(value, float) and name != "step" else value
