"""Which stage writes the same bytes again: on this machine, with the instructions of an older one, on fewer cores.

    python -m benchmarks.repeat                  # a small run of this working tree, in a temporary copy
    python -m benchmarks.repeat --of FOLDER      # a project in which `dvc repro` has finished

Every stage runs again by itself from the inputs that the project has, so a difference is the stage's own. Writes
reports/benchmarks/repeat.{json,md}.
"""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from ruamel.yaml import YAML

from benchmarks.hashes import small_run
from benchmarks.repeat_amounts import largest_difference
from benchmarks.timing import processor
from pipeline.console import say
from pipeline.params.tree import load_params
from pipeline.store.provenance import ROOT, commit, versions, write_json, write_text
from pipeline.tools.repeat import beside, compare, finished, has_workers, run_again


@dataclass(frozen=True)
class Setting:
    """One way to run a stage again."""

    title: str
    env: Mapping[str, str] = field(default_factory=dict)
    cores: int | None = None
    workers: int | None = None


def settings() -> list[Setting]:
    """The ways of the table; numpy names its instructions by version, so it is asked for them."""
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    wide = [name for name in __cpu_dispatch__ if name.startswith(("AVX512", "X86_V4")) and __cpu_features__[name]]
    avx2 = {
        "ATEN_CPU_CAPABILITY": "avx2",
        "NPY_DISABLE_CPU_FEATURES": " ".join(wide),
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
        "OPENCV_IPP": "avx2",
    }
    every = len(os.sched_getaffinity(0))
    return [Setting("again"), Setting("AVX2", avx2), Setting(f"1 core of {every}", {}, 1, 1)]


def measure(project: Path, stage: str, setting: Setting) -> dict[str, Any]:
    """Run a stage again; count its files and those that differ, with the largest difference of a number in them."""
    found, _ = finished(project, stage)
    env = dict(setting.env)
    if setting.workers is not None and has_workers(found):
        env["PWM_WORKERS"] = str(setting.workers)
    with beside(project) as folder:
        run_again(found, project, folder, env, setting.cores)
        rows = compare(found, project, folder)
        differing = {
            row.file: largest_difference(project / row.file, folder / row.file)
            if row.verdict == "different"
            else row.verdict
            for row in rows
            if row.verdict != "equal"
        }
    return {"files": len(rows), "differing": differing}


def cell(result: Mapping[str, Any]) -> str:
    """One cell of the table."""
    differing = result["differing"]
    if not differing:
        return "equal"
    numbers = [amount for amount in differing.values() if isinstance(amount, float)]
    by = f", by up to {max(numbers):.1g}" if numbers else ""
    return f"{len(differing)} of {result['files']} files differ{by}"


def main(
    of: Annotated[Path | None, typer.Option(help="a project that was reproduced; else a small run is made")] = None,
    stages: Annotated[list[str] | None, typer.Option("--stage", help="only these; give it again for more")] = None,
    out: Annotated[Path, typer.Option(help="where the report goes, without its ending")] = ROOT
    / "reports/benchmarks/repeat",
) -> None:
    """Run every stage again in every way and write the table."""
    with tempfile.TemporaryDirectory() as folder:
        project = (of or Path(folder)).resolve()
        if of is None:
            small_run(project)
        names = stages or list(YAML(typ="safe").load((project / "dvc.lock").read_text())["stages"])
        ways = settings()
        rows: dict[str, dict[str, Any]] = {}
        for name in names:
            rows[name] = {}
            for way in ways:
                rows[name][way.title] = measure(project, name, way)
                say(f"{name}, {way.title}: {cell(rows[name][way.title])}")
        profile = load_params(project / "params.yaml").bench.name
    result = {
        "command": "python -m benchmarks.repeat",
        "profile": profile,
        "commit": commit(),
        "processor": processor(),
        "versions": versions(),
        "numpy": np.__version__,
        "settings": {way.title: {**way.env, "cores": way.cores, "workers": way.workers} for way in ways},
        "stages": rows,
    }
    write_json(out.with_suffix(".json"), result)
    titles = [way.title for way in ways]
    lines = [
        "# Which stage writes the same bytes again",
        "",
        f"`{result['command']}`, profile {profile}, {processor()}, torch {versions()['torch']}. Every stage alone, "
        "from the same inputs, cold; `AVX2` takes AVX-512 away from torch, MKL, oneDNN, numpy, OpenBLAS and OpenCV. "
        "The amount is the largest difference of a number in a table, a checkpoint or a text, relative to the largest "
        "number of its column, tensor or file.",
        "",
        f"| stage | {' | '.join(titles)} |",
        f"| --- |{' --- |' * len(titles)}",
        *(f"| {name} | {' | '.join(cell(found[title]) for title in titles)} |" for name, found in rows.items()),
        "",
    ]
    write_text(out.with_suffix(".md"), "\n".join(lines))


if __name__ == "__main__":
    typer.run(main)
