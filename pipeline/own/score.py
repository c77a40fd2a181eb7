"""Score the rows of `bench.own`, the frames that users brought of their own methods."""

import shutil
from dataclasses import asdict, replace
from pathlib import Path

import torch

from pipeline.bench.opening import EvaluateInputs, open_scorer
from pipeline.bench.scoring import PREDICTED, Scorer
from pipeline.bench.tasks import TASKS
from pipeline.console import say
from pipeline.own.frames import PACKED, ROWS, OwnRow, own_dir, own_sha256, read_row
from pipeline.params.tree import Params
from pipeline.store.provenance import write_json

AGAIN = "export the pairs again and bring its frames of them (`pwm pairs export`, `pwm score`)"


def score_own(params: Params, inputs: EvaluateInputs, out: Path, device: torch.device) -> None:
    """Write the scores of every row of `bench.own` into `out/<name>`, and what is said of each into `out/rows.json`.

    What networks read of frames that are scored again comes from scratch. A row whose frames are of another pair list,
    or not here, gets the reason instead of scores, and the others are scored.
    """
    out.mkdir(parents=True, exist_ok=True)
    rows: dict[str, OwnRow] = {}
    if params.bench.own:
        scorer = open_scorer(params, inputs, device)
        for name, wanted in params.bench.own.items():
            rows[name] = _scored(name, wanted, scorer, out / name)
            say(f"{name}: {rows[name].absent or 'scored'}")
    write_json(out / ROWS, {name: asdict(row) for name, row in rows.items()})


def _scored(name: str, wanted: str, scorer: Scorer, out: Path) -> OwnRow:
    found = own_sha256(name)
    if found is None:
        return OwnRow(name, "", None, "", f"its frames are not on this machine, in {own_dir(name)}; {AGAIN}")
    row = read_row(name)
    if found != wanted:
        return replace(row, absent=f"its frames are not those that bench.own names ({wanted[:12]}); {AGAIN}")
    if row.pairs_sha256 != scorer.hashes.pairs_sha256:
        return replace(row, absent=f"its frames are of another pair list; {AGAIN}")
    out.mkdir()
    shutil.copyfile(own_dir(name) / PACKED, out / PREDICTED)
    scorer.score_saved(name, TASKS, out)
    return row
