"""Wall and processor time of every stage of `dvc repro`, and of a second one in which nothing runs.

    python -m benchmarks.repro            # in a clone where nothing has been made yet; the machine does nothing else

Writes reports/benchmarks/repro-<bench.name>.{json,md}.
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer

from benchmarks.timing import processor, table
from pipeline.method_table import BASELINES
from pipeline.params.tree import load_params
from pipeline.store.provenance import commit, versions, write_json, write_text

STARTED = re.compile(r"Running stage '([^']+)'")
Stages = list[dict[str, Any]]  # name, seconds and processor seconds of each, in their order


def timed_repro(folder: Path) -> tuple[Stages, float]:
    """Run `dvc repro` in a folder; returns the seconds of each stage in order, and those of the whole command.

    A stage lasts until the next one begins, or the command ends. Its processor seconds are those of the whole machine:
    nobody waits for the workers of some stages, so that no process knows theirs.
    """
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    begun = time.perf_counter()
    names: list[str] = []
    marks: list[tuple[float, float]] = []  # wall and processor seconds at which each begins, and the last ends
    with subprocess.Popen(
        ["dvc", "repro"], cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            if match := STARTED.search(line):
                names.append(match.group(1))
                marks.append((time.perf_counter(), busy()))
    marks.append((time.perf_counter(), busy()))
    if process.returncode:
        raise typer.Exit(process.returncode)
    rows = [
        {"stage": name, "seconds": round(end[0] - start[0], 1), "processor_seconds": round(end[1] - start[1], 1)}
        for name, start, end in zip(names, marks, marks[1:], strict=False)
    ]
    return rows, marks[-1][0] - begun


def busy() -> float:
    """Seconds that the machine's processors have worked, for whomever."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system)


def of_published(stage: str) -> bool:
    """Whether a stage is there for the rows of published systems alone."""
    name, _, key = stage.partition("@")
    return name in ("parts", "baseline") or (name == "evaluate" and key in BASELINES)


def main(folder: Annotated[Path, typer.Argument(help="a clone of the project")] = Path()) -> None:
    """Time the graph of a clone and write the report into it."""
    rows, total = timed_repro(folder)
    again, idle = timed_repro(folder)
    name = load_params(folder / "params.yaml").bench.name
    result: dict[str, Any] = {
        "command": "python -m benchmarks.repro",
        "profile": name,
        "commit": commit(),
        "cores": os.cpu_count(),
        "device": "cpu",
        "processor": processor(),
        "versions": versions(),
        "stages": rows,
        "total_seconds": round(total, 1),
        "second_repro": {"seconds": round(idle, 1), "stages_run": len(again)},
    }
    out = folder / "reports" / "benchmarks" / f"repro-{name}"
    write_json(out.with_suffix(".json"), result)
    ours = sum(row["seconds"] for row in rows if not of_published(row["stage"]))
    cells = [[row["stage"], row["seconds"], row["processor_seconds"]] for row in rows]
    cells.append(["**all**", round(total, 1), round(sum(row["processor_seconds"] for row in rows), 1)])
    text = "\n".join(
        [
            f"# `dvc repro` stage by stage, profile {name}",
            "",
            f"`{result['command']}`, commit {result['commit']}, {result['processor']}, {result['cores']} cores, "
            f"no GPU, torch {result['versions']['torch']}.",
            "",
            *table(["stage", "seconds", "processor seconds"], cells),
            "",
            f"Stages that only published systems need take {total - ours:.0f} s: all together are {total / ours:.2f} "
            "times the rest.",
            f"A second `dvc repro`: {len(again)} stages run, {idle:.1f} s.",
            "",
        ]
    )
    write_text(out.with_suffix(".md"), text)


if __name__ == "__main__":
    typer.run(main)
