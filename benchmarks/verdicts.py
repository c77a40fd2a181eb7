"""What became of one case of a fuzz, commands run as their user types them, and what systems leave in folders."""

import os
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

FOREIGN = ("._{}", ".DS_Store", "Thumbs.db", "desktop.ini")
FOREIGN_FOLDERS = ("__MACOSX", "@eaDir", ".ipynb_checkpoints", "#recycle")
USER_ERROR = 2  # exit code of a command that was asked for something wrong


@dataclass(frozen=True)
class Verdict:
    """One case.

    Attributes:
        part: what was fuzzed (`weights`, `predictions`, `folders`).
        fault: what was wrong with the input.
        outcome: `right` where it was taken for what it is, `refused` in one clear line, `counted` in a row of a ledger.
        silent: what went wrong without a clear word; empty where nothing did.
    """

    part: str
    fault: str
    outcome: str
    silent: str = ""


@contextmanager
def project(folder: Path) -> Iterator[Path]:
    """Work in a folder whose assets lie in its `assets`; yields that folder."""
    before = {name: os.environ.pop(name, None) for name in ("PWM_ASSETS", "DVC_ROOT")}
    os.environ["PWM_ASSETS"] = str(folder / "assets")
    try:
        with chdir(folder):
            yield folder / "assets"
    finally:
        del os.environ["PWM_ASSETS"]
        os.environ.update({name: value for name, value in before.items() if value is not None})


def typed(*arguments: object) -> tuple[int, str]:
    """Run `pwm` with arguments: the exit code and what was said; a traceback gives exit code 1."""
    from pipeline.cli import app

    done = CliRunner().invoke(app, [*map(str, arguments)])
    crashed = done.exception is not None and not isinstance(done.exception, SystemExit)
    return done.exit_code, f"crashed: {done.exception!r}" if crashed else done.output


def why_not_clear(code: int, said: str, named: str) -> str:
    """Why a refusal is not one clear line that names a thing; empty where it is."""
    lines = [line for line in said.splitlines() if line]
    if code != USER_ERROR:
        return f"exit code {code}: {said[-200:]}"
    if len(lines) != 1 or not lines[0].startswith("error: "):
        return f"{len(lines)} lines: {said[:200]}"
    return "" if named in lines[0] else f"does not name {named}: {lines[0]}"


def litter(folder: Path) -> None:
    """Leave in a folder, and in each below, what macOS, a NAS, Windows and Jupyter leave."""
    for place in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        files = [path for path in place.iterdir() if path.is_file()]
        for name in FOREIGN_FOLDERS:
            (place / name).mkdir()
            for file in files:
                (place / name / file.name).write_bytes(file.read_bytes())
        for name in {form.format(file.name) for form in FOREIGN for file in files}:
            (place / name).write_bytes(b"\x00\x05\x16\x07 no data")
