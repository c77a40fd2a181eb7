"""A copy of the project as a user has it: a git repository with parameters of its own, and commands run in it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.helpers import ROOT


def copy_project(folder: Path, params: Path) -> Path:
    """Copy this working tree into a new git repository, with other parameters and without dvc.lock."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file() and name != "dvc.lock":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    shutil.copyfile(params, folder / "params.yaml")
    run("git", "init", "-q", cwd=folder)
    run("git", "add", "-A", cwd=folder)
    run("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "import", cwd=folder)
    return folder


def run(*command: str, cwd: Path, ok: bool = True, **environment: str) -> str:
    """Run a command with this interpreter's environment first on the path; returns all that it said."""
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
           "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.org",
           "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@example.org", **environment}  # fmt: skip
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    output = done.stdout + done.stderr
    assert (done.returncode == 0) == ok, output[-4000:]
    return output
