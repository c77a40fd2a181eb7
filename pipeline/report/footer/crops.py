"""What the footer says of the clips: how many of those asked for there are, how they were cropped and divided."""

import json
from pathlib import Path

from pipeline.store.schema import LEDGER, metadata_of, read_table


def crop_lines(ledger: Path) -> list[str]:
    """One line a data set, from the ledger of the test clips; a repeated annotation is not counted again.

    Raises:
        FileNotFoundError: there is no ledger: the stage `crop` writes it.
    """
    table = read_table(ledger, LEDGER)
    facts = {name: json.loads(text) for name, text in metadata_of(table).items() if name in ("protocol", "split")}
    rows = [row for row in table.to_pylist() if row["reason"] != "repeated"]
    lines = []
    for dataset, protocol in facts["protocol"].items():
        asked = [row for row in rows if row["dataset"] == dataset]
        made = [row for row in asked if row["status"] == "ok"]
        people = [len({row["person"] for row in some}) for some in (made, asked)]
        lines.append(
            f"{dataset}: {len(made)} of {len(asked)} test clips, {people[0]} of {people[1]} people; "
            f"crop {protocol}, split {facts['split'][dataset]}."
        )
    return lines
