"""Importing a release of an asset, as DVC sees it: the stages that use it run, and no other.

Nothing is trained: files of any content stand in for what the graph would make, and DVC is told to take them.
"""

import json
import sys
from pathlib import Path

import pytest
from dvc.repo import Repo

from benchmarks.stand_ins import write_release
from tests.e2e.project_copy import copy_project, run
from tests.helpers import ROOT

pytestmark = pytest.mark.slow

FILES = {".npz", ".parquet", ".json", ".html"}
LPIPS = "  lpips:\n    backend: {}"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project whose LPIPS is measured by an asset that is not there, with every output in place."""
    folder = tmp_path_factory.mktemp("assets")
    text = (ROOT / "tests" / "data" / "small.yaml").read_text()
    assert LPIPS.format("puppet_judge") in text
    (folder / "params.yaml").write_text(text.replace(LPIPS.format("puppet_judge"), LPIPS.format("lpips_alex")))
    copy = copy_project(folder / "project", folder / "params.yaml")
    run(sys.executable, "-m", "pipeline.cli", "assets", "record", cwd=copy, PWM_ASSETS=str(assets(copy)))
    dvc(copy, "repro", "weights")
    with Repo(str(copy)) as repo:
        wanted = {Path(x.fs_path) for stage in repo.index.stages for x in (*stage.outs, *stage.deps)}
    for path in sorted(path for path in wanted if not path.exists()):
        file = path if path.suffix in FILES else path / "made"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(path.name)
    dvc(copy, "commit", "--force")
    return copy


def assets(project: Path) -> Path:
    return project / "data" / "assets"


def dvc(project: Path, *arguments: str) -> str:
    return run("dvc", *arguments, cwd=project, PWM_ASSETS=str(assets(project)))


def pwm_import(project: Path, name: str, value: float) -> None:
    """Import a release whose tensors are filled with one number."""
    release = write_release(project.parent / f"{name}.{value}.pth", name, value)
    command = (sys.executable, "-m", "pipeline.cli", "assets", "import", name, str(release))
    run(*command, cwd=project, PWM_ASSETS=str(assets(project)))


def stages_to_run(project: Path) -> set[str]:
    """Let the stage `weights` look, and ask which stages changed then."""
    dvc(project, "repro", "weights")
    return set(json.loads(dvc(project, "status", "--json").splitlines()[-1]))


def test_a_release_runs_the_stages_that_use_it_and_no_other(project):
    assert "up to date" in dvc(project, "repro", "--dry")
    users = {f"evaluate@{folder.name}" for folder in (project / "data" / "models").iterdir()} | {"controls", "own"}
    assert len(users) == 14  # five rows of ours, seven published systems
    for release in (0.25, 0.5):  # the first after none: until then, tables have a dash
        pwm_import(project, "lpips_alex", release)
        assert stages_to_run(project) == users
        dvc(project, "commit", "--force")
        pwm_import(project, "lpips_alex", release)  # the same once more
        assert "up to date" in dvc(project, "repro", "--dry")


def test_a_release_that_nothing_uses_runs_nothing(project):
    pwm_import(project, "vgg19", 0.25)
    assert stages_to_run(project) == set()
    assert "up to date" in dvc(project, "repro", "--dry")


def test_a_swapped_file_is_refused_before_any_work(project):
    pwm_import(project, "lpips_alex", 0.75)
    (assets(project) / "alexnet.pth").write_text("swapped")
    said = run("dvc", "repro", cwd=project, ok=False, PWM_ASSETS=str(assets(project)))
    assert said.count("error: ") == 1
    assert "alexnet.pth has sha256" in said
    assert "pwm assets import lpips_alex FILE" in said
    assert "Running stage 'evaluate" not in said
    pwm_import(project, "lpips_alex", 0.75)
    dvc(project, "repro", "weights")
    dvc(project, "commit", "--force")


def test_make_clean_leaves_imported_assets_alone(project):
    pwm_import(project, "vgg19", 0.5)
    run("make", "clean", cwd=project)
    assert {path.name for path in (project / "data").iterdir()} == {"assets"}
    assert (assets(project) / "vgg19.pth").read_bytes() == (project.parent / "vgg19.0.5.pth").read_bytes()
