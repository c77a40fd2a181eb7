"""Wall time of every stage of `dvc repro`, and of a second one in which nothing runs.

    python -m benchmarks.repro            # in a clone where nothing has been made yet

Writes reports/benchmarks/repro-<bench.name>.{json,md}.
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.timing import processor
from pipeline.params.tree import load_params
from pipeline.store.provenance import commit, versions, write_json, write_text

STARTED = re.compile(r"Running stage '([^']+)'")


def timed_repro(folder: Path) -> tuple[list[dict[str, object]], float]:
    """Run `dvc repro` in a folder; returns the seconds of each stage in order, and of the whole command."""
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    begun = time.perf_counter()
    stages: list[tuple[str, float]] = []
    with subprocess.Popen(
        ["dvc", "repro"], cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            if match := STARTED.search(line):
                stages.append((match.group(1), time.perf_counter()))
    ended = time.perf_counter()
    if process.returncode:
        raise typer.Exit(process.returncode)
    ends = [start for _, start in stages[1:]] + [ended]
    rows = [{"stage": name, "seconds": round(end - start, 1)} for (name, start), end in zip(stages, ends, strict=False)]
    return rows, ended - begun


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
    lines = [f"| {row['stage']} | {row['seconds']:.1f} |" for row in rows]
    text = "\n".join(
        [
            f"# Wall time of `dvc repro`, profile {name}",
            "",
            f"`{result['command']}`, {result['processor']}, {result['cores']} cores, no GPU, torch "
            f"{result['versions']['torch']}.",
            "",
            "| stage | seconds |",
            "| --- | ---: |",
            *lines,
            f"| **all** | **{total:.1f}** |",
            "",
            f"A second `dvc repro`: {len(again)} stages run, {idle:.1f} s.",
            "",
        ]
    )
    write_text(out.with_suffix(".md"), text)


if __name__ == "__main__":
    typer.run(main)
