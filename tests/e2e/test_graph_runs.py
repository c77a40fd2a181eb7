"""The whole graph, small, as a user runs it: a copy of the project, `dvc repro`, `dvc exp run`."""

import json
import re
import shlex
import sys

import pytest

from tests.e2e.project_copy import copy_project, run
from tests.helpers import ROOT

pytestmark = pytest.mark.slow


ROWS = ("nmfc", "geom_disp", "neural_codes", "geom_disp+neural_codes")
LABELS = {"PWM + NMFC", "PWM + geom. disp.", "PWM + neural codes", "copy source", "ground truth"}


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


def test_a_second_repro_runs_nothing_whatever_an_editor_left_behind(reproduced):
    for name in ("model/pwm/.generator.py.swp", "pipeline/store/.ipynb_checkpoints/clips-checkpoint.py",
                 "pipeline/metrics/.DS_Store", "stages/look.ipynb"):  # fmt: skip
        (reproduced / name).parent.mkdir(exist_ok=True)
        (reproduced / name).write_text("left behind")
    for options in (["--dry"], []):
        output = run("dvc", "repro", *options, cwd=reproduced)
        assert "Running stage" not in output
        assert "is cached" not in output
        assert "up to date" in output


def test_selecting_a_trained_row_trains_nothing(reproduced):
    output = run("dvc", "exp", "run", "-S", "model.guidance=geom_disp", cwd=reproduced)
    assert "Running stage 'headline'" in output
    assert "Running stage 'train" not in output
    assert "Running stage 'evaluate" not in output


def test_plots_of_every_row_are_on_the_page(reproduced):
    run("dvc", "plots", "show", cwd=reproduced)
    page = (reproduced / "dvc_plots" / "index.html").read_text()
    specs = [json.loads(found) for found in re.findall(r"var spec = (\{.*\});$", page, flags=re.MULTILINE)]
    plots = {spec["title"]: spec["data"]["values"] for spec in specs}
    assert set(plots) == {"generator loss", "discriminator loss", "FID", "CSIM", "AKD", "AED", "APD", "L1", "SSIM",
                          "LPIPS", "FID against AKD"}  # fmt: skip
    for loss in ("generator", "discriminator"):
        points = plots[f"{loss} loss"]
        curves = {f"toy64.puppet.{name}/curve.csv" for name in ROWS} | {f"toy64.puppet_face.{ROWS[-1]}/curve.csv"}
        assert {point["filename"] for point in points} == curves
        assert all(float(point[loss]) > 0 for point in points)
        assert len(points) >= 2 * len(curves)
    for metric in ("FID", "CSIM", "AKD", "AED", "APD", "L1", "SSIM", "LPIPS"):
        assert {point["method"] for point in plots[metric] if point[metric.lower()]} >= LABELS
    assert {point["method"] for point in plots["FID against AKD"] if point["fid"] and point["akd"]} >= LABELS


def test_metrics_params_and_plots_of_two_revisions(reproduced):
    run("dvc", "exp", "run", "-S", "model.guidance=geom_disp", cwd=reproduced)
    shown = run("dvc", "metrics", "show", cwd=reproduced)
    assert "VoxCeleb1.same.fid" in shown
    assert "toy64.puppet.geom_disp" in shown
    diff = json.loads(run("dvc", "metrics", "diff", "HEAD", "--json", cwd=reproduced))
    changed = diff["reports/small/metrics.json"]
    assert changed["row"]["old"] == "toy64.puppet.neural_codes"
    assert changed["VoxCeleb1.same.fid"]["diff"] != 0
    assert "model.guidance" in run("dvc", "params", "diff", "HEAD", cwd=reproduced)
    run("dvc", "plots", "diff", "HEAD", "--out", "compared", cwd=reproduced)
    page = (reproduced / "compared" / "index.html").read_text()
    assert '"rev": "HEAD"' in page
    assert '"rev": "workspace"' in page


def test_experiments_are_shown_with_the_metrics_of_the_row(reproduced):
    (line,) = [x for x in (ROOT / "README.md").read_text().splitlines() if x.startswith("dvc exp show")]
    run("dvc", "exp", "run", "--name", "displacement", "-S", "model.guidance=geom_disp", cwd=reproduced)
    header, _, *rows = run(*shlex.split(line), "--md", cwd=reproduced).strip().splitlines()
    columns = [name.strip() for name in header.strip("|").split("|")]
    assert "model.guidance" in columns
    assert "VoxCeleb1.same.fid" in columns
    assert not [name for name in columns if name.startswith(("data", "reports", "pipeline", "Created"))]
    assert any("displacement" in row and "geom_disp" in row for row in rows)
    workspace = json.loads(run("dvc", "exp", "show", "--json", cwd=reproduced))[0]["data"]
    assert workspace["metrics"]["reports/small/metrics.json"]["data"]["VoxCeleb1"]["same"]["fid"] > 0


def test_an_unknown_guidance_ends_in_one_message(reproduced):
    output = run("dvc", "exp", "run", "-S", "model.guidance=foo", cwd=reproduced, ok=False)
    assert "Traceback" not in output
    assert "geom_disp" in output
    assert "foo" in output


def test_the_profile_voxceleb_names_the_data_that_are_missing(tmp_path):
    project = copy_project(tmp_path / "project", ROOT / "profiles" / "voxceleb.yaml")
    for missing, stage in (("heads", "weights"), ("vox1.manifest.csv", "landmarks")):
        said = run("dvc", "repro", "crop", cwd=project, ok=False)
        errors = [line for line in said.splitlines() if line.startswith("ERROR")]
        assert errors == [f"ERROR: failed to reproduce '{stage}': [Errno 2] No such file or directory: "
                          f"'{tmp_path}/voxceleb/{missing}'"]  # fmt: skip
        (tmp_path / "voxceleb" / "heads").mkdir(parents=True, exist_ok=True)
    said = run(sys.executable, "-m", "pipeline.cli", "data", "scan", cwd=project, ok=False)
    assert said.splitlines() == ["error: VoxCeleb1: there is no folder ../voxceleb/vox1 to scan"]
