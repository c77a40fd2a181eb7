"""`make parity`, or `python -m tests.parity FOLDER`: are we what the published code is? Exit 1 if a fixture fails."""

from pathlib import Path

import torch
import typer

from pipeline.console import run_command
from tests.parity.checks import CHECKS
from tests.parity.run import FAILED, HEADER, run, summary


def parity(folder: Path) -> None:
    """Compare this project with golden FOLDER, one line a fixture."""
    torch.set_num_threads(1)
    lines = []
    typer.echo(HEADER)
    for line in run(folder, CHECKS):
        typer.echo(str(line))
        lines.append(line)
    typer.echo(summary(lines))
    if any(line.verdict == FAILED for line in lines):
        raise SystemExit(1)  # not typer.Exit, which `run_command` would take for an error to print


if __name__ == "__main__":
    run_command(parity)
