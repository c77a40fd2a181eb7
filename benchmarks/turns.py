"""Processor time of the whole graph before and after a change, run in turns on one machine.

    python -m benchmarks.turns --before COMMIT                                # the default profile, once each
    python -m benchmarks.turns --before COMMIT --params tests/data/small.yaml --runs 3

Clones both commits into temporary folders, runs `dvc repro` in each from nothing, then `dvc repro` again with nothing
to do, and writes reports/benchmarks/turns.{json,md}. Processor time is that of the process tree, user and system.
"""

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.timing import environment, heading, table
from pipeline.store.provenance import ROOT, write_json, write_text


def timed(command: list[str], folder: Path) -> tuple[float, float]:
    """Processor and wall seconds of a command."""
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=folder, env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used, time.perf_counter() - started


def one_run(commit: str, params: str) -> dict[str, float]:
    """Reproduce a commit from nothing in a clone of its own."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", "--no-checkout", str(ROOT), str(clone)], check=True)
        subprocess.run(["git", "checkout", "--quiet", "--detach", commit], cwd=clone, check=True)
        if params:
            shutil.copyfile(clone / params, clone / "params.yaml")
        cpu, wall = timed(["dvc", "repro"], clone)
        idle_cpu, idle_wall = timed(["dvc", "repro"], clone)
    return {"cpu_s": cpu, "wall_s": wall, "idle_cpu_s": idle_cpu, "idle_wall_s": idle_wall}


def main(
    before: Annotated[str, typer.Option(help="commit to compare with")],
    after: Annotated[str, typer.Option(help="commit that is compared")] = "HEAD",
    params: Annotated[str, typer.Option(help="parameter file of each commit, instead of its params.yaml")] = "",
    runs: Annotated[int, typer.Option(help="runs of each commit")] = 1,
    out: Annotated[Path, typer.Option(help="folder of the report")] = Path("reports/benchmarks"),
    name: Annotated[str, typer.Option(help="name of the report")] = "turns",
) -> None:
    """Run the graph of both commits in turns and compare."""
    report = {**environment("benchmarks.turns", os.cpu_count() or 1), "before": [], "after": []}
    for _ in range(runs):
        for side, commit in (("before", before), ("after", after)):
            report[side].append(one_run(commit, params))
            print(side, report[side][-1], flush=True)
    medians = {side: {k: statistics.median(r[k] for r in report[side]) for k in report[side][0]}
               for side in ("before", "after")}  # fmt: skip
    report["ratio"] = {k: medians["after"][k] / medians["before"][k] for k in medians["before"]}
    write_json(out / f"{name}.json", report)
    lines = [
        [key, *(f"{medians[side][key]:.1f}" for side in ("before", "after")), f"{report['ratio'][key]:.3f}"]
        for key in report["ratio"]
    ]
    page = [
        *heading(f"`dvc repro` before ({before[:7]}) and after, median of {runs} in turns", report),
        *table(["", "before", "after", "ratio"], lines),
    ]
    write_text(out / f"{name}.md", "\n".join(page) + "\n")
    print("\n".join(page))


if __name__ == "__main__":
    typer.run(main)
