"""Run one stage again, beside the project, and see whether it writes the same bytes.

The stage's own command line runs in a mirror of the project: a folder in which everything is a link to the project but
the stage's outputs and the scratch folder, which do not exist there. So it starts cold and can write no output of the
project, whatever the names of its options.
"""

import importlib
import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from ruamel.yaml import YAML

from pipeline.console import Stopped, say
from pipeline.params.tree import load_params
from pipeline.store.provenance import sha256_file

CODE = ("model", "pipeline", "stages")
SCRATCH = PurePosixPath("data/scratch")
TIMES = PurePosixPath("data/costs")  # what stages measure of their own speed is another number each time
_LAST_LINES = 8


@dataclass(frozen=True)
class Finished:
    """A stage as dvc.lock has it: its command, and the files and folders that it wrote."""

    name: str
    command: tuple[str, ...]
    outs: tuple[PurePosixPath, ...]

    @property
    def module(self) -> str:
        """Its script, such as `stages.crop`."""
        return self.command[self.command.index("-m") + 1]


@dataclass(frozen=True)
class Compared:
    """One output file: `verdict` is "equal", "different", "missing" (not written again) or "new"."""

    file: str
    verdict: str
    before: str
    again: str


def repeat(
    name: str, project: Path, settings: Mapping[str, str], *, workers: int | None = None, cores: int | None = None,
    into: Path | None = None,
) -> list[Compared]:  # fmt: skip
    """Run a finished stage again and compare every file that it writes with the project's.

    Args:
        name: as DVC names the stage.
        project: folder of dvc.yaml.
        settings: environment variables for the run.
        workers: processes of a stage that has `--workers`.
        cores: processors that it may use.
        into: a folder to make, which keeps what was written; unless given, that goes when it has been compared.

    Raises:
        ValueError: there is no such stage, a stage without workers is given some, `into` exists or lies in the
            project's outputs, or there are not so many processors.
        RuntimeError: the stage has not run, or its inputs have changed since.
        Stopped: its command failed.
    """
    stage, code = finished(project, name)
    if workers is not None:
        if not has_workers(stage):
            raise ValueError(f"stage {name} has no --workers: it works in one process, or in those of params.yaml")
        settings = {**settings, "PWM_WORKERS": str(workers)}
    if cores is not None and cores > (there := len(_processors())):
        raise ValueError(f"--cores {cores}: this machine lends {there}")
    _check_root(project)
    if code:
        say(f"{name}: {', '.join(code)} changed since it ran; it runs again with the current code")
    if into is not None:
        _check_new(project, into)
    with beside(project) as folder:
        run_again(stage, project, folder, settings, cores)
        rows = compare(stage, project, folder)
        if into is not None:
            _keep(stage, folder, into)
    return rows


def _keep(stage: Finished, folder: Path, into: Path) -> None:
    for path in [out for out in stage.outs if (folder / out).exists()]:
        (into / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(folder / path, into / path)


@contextmanager
def beside(project: Path) -> Iterator[Path]:
    """Lend a new folder below the project's scratch folder, on whose disk there is room for outputs."""
    scratch = project.resolve() / SCRATCH
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="repeat-", dir=scratch) as folder:
        yield Path(folder)


def settings_of(texts: Sequence[str]) -> dict[str, str]:
    """Read NAME=VALUE texts.

    Raises:
        ValueError: one is no such text.
    """
    for text in texts:
        if not re.fullmatch(r"[A-Za-z_]\w*=.*", text):
            raise ValueError(f"--env {text!r}: expected NAME=VALUE")
    return dict(text.split("=", 1) for text in texts)


def finished(project: Path, name: str) -> tuple[Finished, list[str]]:
    """Look a stage up that has run, and whose inputs and outputs are those that it ran with.

    Args:
        project: folder of dvc.yaml.
        name: as DVC names it, such as `fit@puppet`.

    Returns:
        The stage, and its code that has changed since: it runs with the current code.

    Raises:
        ValueError: there is no such stage.
        RuntimeError: it has not run, or its parameters, inputs or outputs have changed since.
    """
    names = _dvc(project, "stage", "list", "--all", "--name-only").split()
    if name not in names:
        near = [other for other in names if other.split("@")[0] == name.split("@")[0]] or names
        raise ValueError(f"there is no stage {name!r}; {'these are alike' if near != names else 'there are'}: "
                         f"{', '.join(dict.fromkeys(near))}")  # fmt: skip
    lock = project / "dvc.lock"
    locked = (YAML(typ="safe").load(lock.read_text()) if lock.is_file() else {}).get("stages", {}).get(name)
    if locked is None:
        raise RuntimeError(f"stage {name} has not run yet: `dvc repro {name}` runs it")
    changed = _changes(json.loads(_dvc(project, "status", "--json", name)).get(name, []))
    code = [path for path in changed["changed deps"] if path.split("/")[0] in CODE]
    inputs = [path for path in changed["changed deps"] if path not in code] + changed["changed command"]
    if inputs:
        raise RuntimeError(f"stage {name}: {', '.join(inputs)} changed since it ran: `dvc repro {name}` brings it up")
    if outs := changed["changed outs"]:
        raise RuntimeError(f"stage {name}: {', '.join(outs)} is not what dvc.lock has: `dvc checkout {name}` brings it")
    command = tuple(shlex.split(locked["cmd"]))
    return Finished(name, command, tuple(PurePosixPath(out["path"]) for out in locked["outs"])), code


def mirror(project: Path, folder: Path, absent: Sequence[PurePosixPath]) -> None:
    """Fill a folder with links to all that a project holds, but what is to be absent."""
    parents = {parent for path in absent for parent in path.parents}

    def fill(below: PurePosixPath) -> None:
        (folder / below).mkdir(parents=True, exist_ok=True)
        for entry in (project / below).iterdir() if (project / below).is_dir() else ():
            path = below / entry.name
            if path in parents:
                fill(path)
            elif path not in absent:
                (folder / path).symlink_to(entry.resolve())

    fill(PurePosixPath())


def run_again(stage: Finished, project: Path, folder: Path, settings: Mapping[str, str], cores: int | None) -> None:
    """Run a stage's command in a mirror of the project; what it says goes to stderr.

    Args:
        stage: of `finished`.
        project: folder of dvc.yaml.
        folder: an empty folder for the mirror.
        settings: environment variables for the run.
        cores: processors that it may use; None leaves all.

    Raises:
        Stopped: the command failed.
    """
    mirror(project, folder, [*stage.outs, SCRATCH])
    own = {"DVC_ROOT": str(folder.resolve()), "PWM_ASSETS": str(_assets(project))}
    command = [sys.executable, *stage.command[1:]]
    limit = None if cores is None else partial(os.sched_setaffinity, 0, _processors()[:cores])
    env = {**os.environ, **own, **settings}
    done = subprocess.run(command, cwd=folder, env=env, stdout=sys.stderr, preexec_fn=limit, check=False)  # noqa: PLW1509
    if done.returncode:
        raise Stopped(f"stage {stage.name} ended with exit code {done.returncode} when it ran again")


def compare(stage: Finished, project: Path, folder: Path) -> list[Compared]:
    """Compare every file of a stage's outputs with what lies in the project, by hash; times are no results."""
    rows = []
    outs = [out for out in stage.outs if TIMES not in out.parents]
    before, again = (_hashes(root, outs) for root in (project, folder))
    for name in sorted(before.keys() | again.keys()):
        old, new = before.get(name, ""), again.get(name, "")
        verdict = "equal" if old == new else "different" if old and new else "new" if new else "missing"
        rows.append(Compared(name, verdict, old, new))
    return rows


def _hashes(root: Path, outs: Sequence[PurePosixPath]) -> dict[str, str]:
    found = {}
    for out in outs:
        path = root / out
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and file.name != ".gitignore":  # DVC's own
                found[file.relative_to(root).as_posix()] = sha256_file(file)
    return found


def has_workers(stage: Finished) -> bool:
    """Whether a stage has the option --workers."""
    return "workers" in inspect.signature(importlib.import_module(stage.module).main).parameters


def _check_new(project: Path, into: Path) -> None:
    if into.exists():
        raise ValueError(f"--into {into} exists: name a new folder")
    for kept in ("data", "reports"):
        if into.resolve().is_relative_to((project / kept).resolve()):
            raise ValueError(f"--into {into} lies in {kept}, where the project's own outputs are: name another folder")


def _processors() -> list[int]:
    """Numbers of the processors that this process may use."""
    if not hasattr(os, "sched_getaffinity"):
        raise ValueError("--cores: this system lends no choice of processors")
    return sorted(os.sched_getaffinity(0))


def _check_root(project: Path) -> None:
    """Refuse data that a mirror would not find: a relative `data.root` outside the project."""
    root = load_params(project / "params.yaml").data.root
    outside = (project / root).resolve()
    if not Path(root).is_absolute() and not outside.is_relative_to(project.resolve()):
        raise ValueError(f"data.root {root!r} leaves the project, which a run beside it cannot follow: set {outside}")


def _assets(project: Path) -> Path:
    return Path(os.environ.get("DVC_ROOT") or project, os.environ.get("PWM_ASSETS", "data/assets")).resolve()


def _changes(entries: Sequence[str | Mapping[str, Mapping[str, object]]]) -> dict[str, list[str]]:
    """Sort what `dvc status` says of a stage."""
    kinds: dict[str, list[str]] = {"changed deps": [], "changed outs": [], "changed command": []}
    for entry in entries:
        if isinstance(entry, str):
            kinds["changed command"].append("its command" if entry == "changed command" else entry)
        else:
            for kind, paths in entry.items():
                for path, what in paths.items():
                    kinds[kind] += [f"{path}: {key}" for key in what] if isinstance(what, Mapping) else [path]
    return kinds


def _dvc(project: Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *command], cwd=project, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = " ".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-_LAST_LINES:])
        raise RuntimeError(f"`dvc {' '.join(command)}` failed: {last}")
    return done.stdout
