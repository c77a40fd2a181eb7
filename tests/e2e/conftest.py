"""The whole graph, small, as a user has it after `dvc repro` and a commit; run once for all tests that want it."""

import pytest

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
