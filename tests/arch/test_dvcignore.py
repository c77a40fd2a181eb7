"""What DVC sees in the folders of code that stages depend on: .py files and shipped assets, nothing else."""

import shutil
import subprocess
from contextlib import chdir
from pathlib import Path

import pytest
from dvc.repo import Repo

from tests.helpers import ROOT

LEFT_BEHIND = [
    "model/frame/.warp.py.swp", "model/frame/warp.py~", "model/frame/#warp.py#", "model/frame/.#warp.py",
    "model/frame/warp.py.orig", "model/frame/4913", "model/frame/.ipynb_checkpoints/warp-checkpoint.py",
    "pipeline/bench/.ipynb_checkpoints/pairs-checkpoint.py", "pipeline/bench/look.ipynb", "pipeline/bench/notes.md",
    "model/.DS_Store", "model/frame/._warp.py", "stages/desktop.ini", "pipeline/puppets/assets/Thumbs.db",
    "model/frame/__pycache__/warp.cpython-311.pyc", "model/frame/__pycache__/stub.py", "model/frame/warp.pyc",
    "model/.vscode/settings.json", "pipeline/puppets/assets/.puppet.npz.swp",
    "pipeline/puppets/assets/judge.safetensors~", "pipeline/.mypy_cache/3.11/bench.data.json",
    "stages/.train.py.swp", "data/videos/.DS_Store",
]  # fmt: skip
SEEN = [
    "model/frame/warp.py", "model/frame/new.py", "model/deep/er/new.py", "pipeline/bench/pairs.py", "stages/train.py",
    "pipeline/puppets/assets/puppet.npz", "pipeline/puppets/assets/judge.safetensors",
]  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with our .dvcignore, a stage that depends on the folders of code, and that stage done."""
    folder = tmp_path_factory.mktemp("ignored")
    Repo.init(str(folder), no_scm=True).close()
    shutil.copyfile(ROOT / ".dvcignore", folder / ".dvcignore")
    stage = "cmd: echo done > seen, deps: [model, pipeline, stages, data/videos], outs: [seen]"
    (folder / "dvc.yaml").write_text(f"stages: {{look: {{{stage}}}}}\n")
    for name in [name for name in SEEN if "new" not in name] + ["data/videos/a.mp4"]:
        put(folder / name, name)
    with chdir(folder), Repo() as repo:
        repo.reproduce()
    return folder


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def changed(folder: Path) -> list[str]:
    """Dependencies that DVC finds changed."""
    with chdir(folder), Repo() as repo:
        found = repo.status().get("look", [])
    return [name for entry in found for name in entry["changed deps"]]


def test_what_editors_and_file_managers_leave_behind_changes_nothing(project):
    assert changed(project) == []
    for name in LEFT_BEHIND:
        put(project / name, "left behind")
    assert changed(project) == []
    for name in LEFT_BEHIND:
        (project / name).unlink()


@pytest.mark.parametrize("name", SEEN)
def test_code_and_assets_are_seen(project, name):
    before = (project / name).read_text() if (project / name).exists() else None
    put(project / name, "changed")
    try:
        assert changed(project) == [name.split("/")[0]]
    finally:
        (project / name).unlink() if before is None else put(project / name, before)


def test_every_file_that_git_keeps_in_the_folders_of_code_is_seen():
    listed = subprocess.run(
        ["git", "ls-files", "model", "pipeline", "stages"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    files = listed.stdout.splitlines()
    assert len(files) > 100
    with Repo(str(ROOT)) as repo:
        unseen = [name for name in files if repo.dvcignore.is_ignored_file(str(ROOT / name))]
    assert not unseen, "DVC does not see these: name their kind in .dvcignore"
