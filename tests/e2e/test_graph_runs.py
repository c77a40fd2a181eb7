"""The whole graph, small, as a user runs it: a copy of the project, `dvc repro`, `dvc exp run`."""

import sys

import pytest

from tests.e2e.project_copy import copy_project, run
from tests.helpers import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A git repository with this working tree and the small parameters."""
    return copy_project(tmp_path_factory.mktemp("graph") / "project", ROOT / "tests" / "data" / "small.yaml")


@pytest.fixture(scope="module")
def reproduced(project):
    run("dvc", "repro", cwd=project)
    return project


def test_repro_writes_every_table_and_figure(reproduced):
    tables = reproduced / "reports" / "small" / "tables"
    assert {p.name for p in tables.iterdir()} >= {f"table{i}.{e}" for i in (1, 2, 3) for e in ("csv", "md")} | {
        "scores.csv"
    }
    text = (tables / "table1.md").read_text()
    for label in ("PWM + NMFC", "PWM + geom. disp.", "PWM + neural codes", "X2Face", "PIRender", "copy source"):
        assert label in text
    assert len(list((reproduced / "reports" / "small" / "figures").glob("*.png"))) >= 5
    assert (reproduced / "reports" / "small" / "metrics.json").exists()


def test_a_second_repro_runs_nothing(reproduced):
    output = run("dvc", "repro", cwd=reproduced)
    assert "Running stage" not in output
    assert "up to date" in output


def test_selecting_a_trained_row_trains_nothing(reproduced):
    output = run("dvc", "exp", "run", "-S", "model.guidance=geom_disp", cwd=reproduced)
    assert "Running stage 'headline'" in output
    assert "Running stage 'train" not in output
    assert "Running stage 'evaluate" not in output


def test_an_unknown_guidance_ends_in_one_message(reproduced):
    output = run("dvc", "exp", "run", "-S", "model.guidance=foo", cwd=reproduced, ok=False)
    assert "Traceback" not in output
    assert "geom_disp" in output
    assert "foo" in output


def test_the_profile_voxceleb_names_the_data_that_are_missing(tmp_path):
    project = copy_project(tmp_path / "project", ROOT / "profiles" / "voxceleb.yaml")
    said = run("dvc", "repro", "crop", cwd=project, ok=False)
    errors = [line for line in said.splitlines() if line.startswith("ERROR")]
    assert errors == [f"ERROR: failed to reproduce 'crop': [Errno 2] No such file or directory: "
                      f"'{tmp_path}/voxceleb/vox1.manifest.csv'"]  # fmt: skip
    said = run(sys.executable, "-m", "pipeline.cli", "data", "scan", cwd=project, ok=False)
    assert said.splitlines() == ["error: VoxCeleb1: there is no folder ../voxceleb/vox1 to scan"]
