"""The reference runs: a list of rows brought forward together, in as many calls as it takes."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.device.pages import write_pages
from benchmarks.device.scores import Bench, Scored
from benchmarks.device.settings import Run
from benchmarks.device.training import Place, train_to
from pipeline.console import say
from pipeline.params.tree import Params
from pipeline.store.provenance import write_json

SPARE_S = 20.0  # for the last scores and pages


def work_through(runs: Sequence[Run], params: Params, place: Place, minutes: float, out: Path, command: str) -> bool:
    """Train the runs in turns, the one that is least far first; score each turn's end.

    Args:
        runs: rows of the table.
        params: settings of all of them; `recipes.RECIPE.iterations` is where each ends.
        place: data, state, device and length of a turn; a table holds at the end of a turn.
        minutes: after which a run under way stores its state; the next call goes on from there.
        out: folder of tables, curves and sheets.
        command: what was called, for the pages.

    Returns:
        Whether all runs are at their end.
    """
    until = time.monotonic() + 60 * minutes - SPARE_S
    last = params.recipes[params.bench.recipe].iterations
    bench = Bench(place)
    done = {run: max(_turns(place, params, run), default=0) for run in runs}
    while min(done.values()) < last and time.monotonic() < until:
        run = min(runs, key=lambda candidate: (done[candidate], runs.index(candidate)))
        goal = min(done[run] + place.every, last)
        trained = train_to(goal, until, params, run, place)
        say(f"{run.name}: iteration {trained.step} of {last}")
        if trained.step < goal:
            break
        _keep(place.states(params, run) / "turns", goal, bench.score(trained), trained.curve)
        done[run] = goal
    found = {run: _turns(place, params, run) for run in runs}
    write_pages(out, runs, found, bench.sides(), _sheets(place, params, runs, found), command)
    return min(done.values()) >= last


def _keep(folder: Path, step: int, scored: Scored, curve: list[dict[str, float]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / f"{step}.npz", sheet=scored.sheet)
    found = {"values": scored.values, "pairs": scored.pairs, "curve": curve}
    write_json(folder / f"{step}.json", found)  # last: a turn counts once this is there


def _turns(place: Place, params: Params, run: Run) -> dict[int, dict]:
    """Iteration -> what was measured there."""
    files = (place.states(params, run) / "turns").glob("*.json")
    return {int(file.stem): json.loads(file.read_text()) for file in sorted(files, key=lambda f: int(f.stem))}


def _sheets(place: Place, params: Params, runs: Sequence[Run], found: dict[Run, dict[int, dict]]) -> dict[int, list]:
    """Iteration that all runs have -> the frames of each run there."""
    steps = set.intersection(*(set(turns) for turns in found.values()))
    return {
        step: [np.load(place.states(params, run) / "turns" / f"{step}.npz")["sheet"] for run in runs] for step in steps
    }
