"""Hashes of every output of a run, to see whether a change of code moved a byte.

    python -m benchmarks.hashes                  # a small run of this working tree, in a temporary copy
    python -m benchmarks.hashes --of FOLDER      # a project in which `dvc repro` has finished

One line a file, `sha256  path`, sorted by path: two runs compare with `diff`.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from ruamel.yaml import YAML

from pipeline.store.provenance import ROOT, sha256_file

SMALL = ROOT / "tests" / "data" / "small.yaml"
NOT_OUTPUTS = ("data/scratch/", "data/assets/")


def output_hashes(project: Path) -> Iterator[tuple[str, str]]:
    """Path and sha256 of every file below the outputs of a project's stages."""
    bench = YAML(typ="safe").load((project / "params.yaml").read_text())["bench"]["name"]
    for folder in (project / "data", project / "reports" / bench):
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = file.relative_to(project).as_posix()
            if not name.startswith(NOT_OUTPUTS):
                yield name, sha256_file(file)


def small_run(project: Path) -> None:
    """Copy this working tree to a new folder and reproduce it there with the small parameters."""
    git = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(git, check=True, stdout=subprocess.PIPE, text=True).stdout.split("\0"):
        if name and name != "dvc.lock" and (ROOT / name).is_file():
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, project / name)
    shutil.copyfile(SMALL, project / "params.yaml")
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for command in (["git", "init", "--quiet"], ["dvc", "repro"]):
        subprocess.run(command, cwd=project, env=env, check=True, stdout=sys.stderr)


def main(
    of: Annotated[Path | None, typer.Option(help="a project that was reproduced; else a small run is made")] = None,
) -> None:
    """Print the hash of every output."""
    with tempfile.TemporaryDirectory() as folder:
        if of is None:
            small_run(Path(folder))
        for name, digest in output_hashes(of or Path(folder)):
            print(f"{digest}  {name}")


if __name__ == "__main__":
    typer.run(main)
