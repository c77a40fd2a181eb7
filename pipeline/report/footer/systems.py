"""What the footer says of published systems: what a reader of their rows has to know."""

from collections.abc import Iterable

from pipeline.report.rows import Row

OWN_CROP = "run in the crop it was trained on, put back into the shared one; outside it stands the source's frame"


def system_lines(rows: Iterable[Row]) -> list[str]:
    """One line for every published system that has numbers and something to be said of."""
    found = [(row, [*row.notes, *([OWN_CROP] if row.own_crop else [])]) for row in rows if row.system]
    return [f"{row.label}: {'; '.join(notes)}." for row, notes in found if notes and not row.absent]
