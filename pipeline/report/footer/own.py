"""What the footer says of rows that users brought: whose they are, and whether they know the data."""

from collections.abc import Iterable, Mapping
from typing import Protocol

KNOWS = {
    True: "trained on data sets of these tables",
    False: "not trained on data sets of these tables",
    None: "nobody said whether it was trained on data sets of these tables",
}


class Brought(Protocol):
    """What is read of such a row (`pipeline.own.frames.OwnRow`)."""

    @property
    def label(self) -> str:
        """What the tables call it."""

    @property
    def link(self) -> str:
        """Where it is described; empty where it is nowhere."""

    @property
    def trained_on_data(self) -> bool | None:
        """Whether it was trained on the data sets of the tables; None where nobody said."""


def own_lines(rows: Mapping[str, Brought]) -> list[str]:
    """One line for every row that was brought."""
    return [f"{row.label} (`{name}`): frames that were brought, {_said(row)}." for name, row in rows.items()]


def _said(row: Brought) -> str:
    parts: Iterable[str] = (KNOWS[row.trained_on_data], row.link)
    return "; ".join(filter(None, parts))
