"""Processor time that each stage's command takes to start: `python -m benchmarks.starts`.

Runs `python -m stages.<name> --help` for every stage, and writes reports/benchmarks/starts.{json,md}.
"""

import resource
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.timing import environment, heading, table
from pipeline.store.provenance import ROOT, write_json, write_text

GOAL_S = 0.6


def processor_seconds(command: list[str]) -> float:
    """User and system time of a command and of all that it started and waited for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(
    out: Annotated[Path, typer.Option(help="folder of the report")] = Path("reports/benchmarks"),
    repeats: Annotated[int, typer.Option(help="measured starts of each command, after one to warm up")] = 5,
) -> None:
    """Time the start of every stage's command."""
    rows = {}
    for script in sorted(path.stem for path in (ROOT / "stages").glob("[a-z]*.py")):
        command = [sys.executable, "-m", f"stages.{script}", "--help"]
        taken = [processor_seconds(command) for _ in range(repeats + 1)][1:]
        rows[script] = {"median_s": statistics.median(taken), "min_s": min(taken), "max_s": max(taken)}
    report = {**environment("benchmarks.starts", 1), "goal_s": GOAL_S, "rows": rows}
    write_json(out / "starts.json", report)
    lines = [[name, *(f"{value:.2f}" for value in row.values())] for name, row in rows.items()]
    page = [
        *heading("Processor time of `python -m stages.NAME --help`, s", report),
        f"Goal: at most {GOAL_S} s each.",
        "",
        *table(["stage", "median", "best", "worst"], lines),
    ]
    write_text(out / "starts.md", "\n".join(page) + "\n")
    print("\n".join(page))


if __name__ == "__main__":
    typer.run(main)
