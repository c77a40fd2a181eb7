"""The whole graph, small, as a user has it after `dvc repro` and a commit; run once for all tests that want it."""

import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from tests.asset_folder import project_with_assets
from tests.e2e.project_copy import copy_project, run
from tests.helpers import ROOT


@pytest.fixture(scope="session")
def small_project(tmp_path_factory):
    """This working tree with the small parameters: a git repository, reproduced and committed."""
    folder = copy_project(tmp_path_factory.mktemp("graph") / "project", ROOT / "tests" / "data" / "small.yaml")
    run("dvc", "repro", cwd=folder)
    run("git", "add", "--all", cwd=folder)
    run("git", "commit", "--quiet", "--message", "results", cwd=folder)
    return folder


@pytest.fixture
def reproduced(small_project):
    """The reproduced project; what a test changes in it is taken back."""
    yield small_project
    if run("git", "status", "--porcelain", cwd=small_project):
        run("git", "checkout", "--quiet", ".", cwd=small_project)
        run("git", "clean", "--quiet", "--force", "-d", cwd=small_project)
        run("dvc", "checkout", cwd=small_project)


@pytest.fixture(scope="session")
def open_assets(tmp_path_factory):
    """A project's folder with the assets that pip brings, fetched by the command for it."""
    project = tmp_path_factory.mktemp("open") / "project"
    with pytest.MonkeyPatch.context() as patch:
        project_with_assets(patch, project)
        done = CliRunner().invoke(app, ["assets", "fetch", "open"])
    if "pip reaches no index" in done.output:
        pytest.skip("pip reaches no index from here")
    assert done.exit_code == 0, done.output
    return project
