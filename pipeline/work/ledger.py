"""The ledger: every clip asked for has exactly one row that says what became of it and why."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from pipeline.store.schema import LEDGER

# The protocol leaves these out by its own rules, and a repeated annotation asks for a clip that is there
# already; they are neither faults nor missing files.
PROTOCOL_REASONS = frozenset({"too_short", "too_small", "out_of_frame", "repeated"})

FORGOTTEN = "forgotten"  # somebody asked that this person or video be used no more


class ClipError(Exception):
    """A clip that cannot be made: `reason` is a word of the ledger, `message` the whole sentence."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(reason, message)
        self.reason, self.message = reason, message

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


class TooManyFailures(RuntimeError):
    """More clips failed or are missing than the parameters allow."""


@dataclass(frozen=True)
class LedgerRow:
    """One clip asked for. `status` is ok, failed, missing or forgotten; `reason` says which failure."""

    dataset: str
    split: str
    clip: str
    person: str
    video: str
    reason: str = "ok"
    detail: str = ""

    @property
    def status(self) -> str:
        """Follow from the reason, so that the two cannot disagree."""
        return {"ok": "ok", "missing_source": "missing", FORGOTTEN: FORGOTTEN}.get(self.reason, "failed")


def to_table(rows: Iterable[LedgerRow]) -> pa.Table:
    """Turn rows into a table of schema `LEDGER`, in their order."""
    rows = list(rows)
    return pa.table({name: [getattr(row, name) for row in rows] for name in LEDGER.names}, schema=LEDGER)


def check_complete(asked: Sequence[str], rows: Sequence[LedgerRow]) -> None:
    """Raise RuntimeError unless counts in equal counts out: one row for every clip, none twice."""
    difference = Counter(asked)
    difference.subtract(row.clip for row in rows)
    wrong = [clip for clip, count in difference.items() if count != 0]
    if wrong:
        raise RuntimeError(f"the ledger does not account for {len(wrong)} clips, such as {wrong[0]}")


def check_rates(rows: Sequence[LedgerRow], max_fail_rate: float, max_missing_rate: float) -> None:
    """Raise TooManyFailures where too many clips are missing, or too many of those present fail.

    Clips that the protocol leaves out (`PROTOCOL_REASONS`) count as present and not as failed; forgotten
    ones count as never asked for.
    """
    rows = [row for row in rows if row.reason != FORGOTTEN]
    missing = [row for row in rows if row.status == "missing"]
    failed = [row for row in rows if row.status == "failed" and row.reason not in PROTOCOL_REASONS]
    present = len(rows) - len(missing)
    for name, bad, total, limit in (
        ("max_missing_rate", missing, len(rows), max_missing_rate),
        ("max_fail_rate", failed, present, max_fail_rate),
    ):
        if len(bad) > limit * total:
            what = "are missing" if name == "max_missing_rate" else "failed"
            raise TooManyFailures(
                f"{len(bad)} of {total} clips {what}, crop.{name} allows {limit:.0%}; "
                f"the first: {bad[0].clip}: {bad[0].reason}: {bad[0].detail}"
            )
    if not any(row.reason == "ok" for row in rows):
        example = f"; the first: {rows[0].clip}: {rows[0].reason}: {rows[0].detail}" if rows else ""
        raise TooManyFailures(f"no clip is left of {len(rows)} asked for{example}")


def summary(rows: Sequence[LedgerRow]) -> list[str]:
    """Say in one line each how many clips of a data set and split ended for which reason, with one example."""
    counts = Counter((row.dataset, row.split, row.status, row.reason) for row in rows)
    example = {(row.dataset, row.split, row.status, row.reason): row for row in reversed(rows) if row.detail}
    lines = []
    for key in sorted(counts):
        dataset, split, status, reason = key
        what = reason if status == "ok" else f"{status}, {reason}"
        such_as = f" (such as {example[key].clip}: {example[key].detail})" if key in example else ""
        lines.append(f"{dataset} {split}: {counts[key]} {what}{such_as}")
    return lines
