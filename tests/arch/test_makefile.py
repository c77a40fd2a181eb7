"""`make` in a clone: which environment it takes, and when it builds one."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.helpers import ROOT


@pytest.fixture
def clone(tmp_path) -> Path:
    """A clone whose files are newer than an environment that lies elsewhere; its python says what it is asked."""
    folder = tmp_path / "clone"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copyfile(ROOT / name, folder / name)
    bin_folder = tmp_path / "elsewhere" / ".venv" / "bin"
    bin_folder.mkdir(parents=True)
    (bin_folder / "python").write_text('#!/bin/sh\necho "elsewhere: $@"\n')
    (bin_folder / "python").chmod(0o755)
    ready = bin_folder.parent / ".ready"
    ready.touch()
    os.utime(ready, (0, 0))
    return folder


def make(clone: Path, target: str) -> subprocess.CompletedProcess:
    """Run make where building an environment ends in an error that names it."""
    builder = clone / "builder"
    builder.write_text("#!/bin/sh\necho built >&2\nexit 1\n")
    builder.chmod(0o755)
    command = ["make", target, f"PYTHON={builder}"]
    return subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("ready", [True, False])
def test_a_linked_environment_is_used_and_never_built(ready, clone):
    elsewhere = clone.parent / "elsewhere" / ".venv"
    if not ready:
        (elsewhere / ".ready").unlink()
    (clone / ".venv").symlink_to(elsewhere)
    done = make(clone, "test")
    assert done.returncode == 0, done.stderr
    assert "elsewhere: -m pytest" in done.stdout
    assert "built" not in done.stderr


def test_a_link_to_nothing_is_said_in_one_line(clone):
    (clone / ".venv").symlink_to(clone.parent / "gone")
    done = make(clone, "test")
    assert done.returncode == 2
    assert done.stderr.startswith(
        f".venv is a link to {clone.parent / 'gone'}, where there is no environment: build it"
    )
    assert "built" not in done.stderr


def test_an_environment_of_its_own_is_built_where_it_is_old_or_missing(clone):
    assert "built" in make(clone, "test").stderr
    shutil.copytree(clone.parent / "elsewhere" / ".venv", clone / ".venv")
    os.utime(clone / ".venv" / ".ready", (0, 0))
    assert "built" in make(clone, "test").stderr
    (clone / ".venv" / ".ready").touch()
    assert make(clone, "test").returncode == 0
