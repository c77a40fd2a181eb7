"""Rows of published systems in the graph: an edit of one reaches no other; trained here they have numbers."""

import csv
import json
import re

import pytest
from ruamel.yaml import YAML

from pipeline.method_table import BASELINES
from tests.e2e.project_copy import run

pytestmark = pytest.mark.slow


def ran(output: str) -> set[str]:
    return set(re.findall(r"Running stage '(.*?)'", output))


def test_an_edit_of_one_system_runs_its_own_stages_and_the_figures(reproduced):
    network = reproduced / "model" / "baselines" / "fomm" / "network.py"
    network.write_text(network.read_text() + "# an edit that changes no number\n")
    reached = {"baseline@fomm", "evaluate@fomm", "figures"}  # and the report, where a figure changes
    assert set(json.loads(run("dvc", "status", "--json", cwd=reproduced).splitlines()[-1])) == reached
    assert ran(run("dvc", "repro", "--dry", cwd=reproduced)) == reached


def test_without_published_systems_the_tables_have_none_of_their_rows(reproduced):
    table = reproduced / "reports" / "small" / "tables" / "table1.md"
    assert "X2Face" in table.read_text()
    said = run("dvc", "exp", "run", "-S", "bench.baselines=[]", cwd=reproduced)
    assert not {stage.split("@")[0] for stage in ran(said)} & {"train", "controls", "fit", "crop", "pairs"}
    ours = table.read_text().split("The paper's numbers")[0]
    assert not re.search("X2Face|Bi-Layer|LSR|FOMM|HeadGAN|PIRender", ours)
    assert "PWM + NMFC" in table.read_text()


def test_all_seven_trained_here_fill_their_rows(reproduced):
    said = run("dvc", "exp", "run", "-S", "bench.baselines=[toy64]", cwd=reproduced)
    assert {f"{stage}@{name}" for stage in ("baseline", "evaluate") for name in BASELINES} - ran(said) <= {
        "evaluate@headgan"  # which was trained before
    }
    assert "parts" in ran(said)
    tables = reproduced / "reports" / "small" / "tables"
    for number in (1, 2, 3):
        with (tables / f"table{number}.csv").open(newline="") as stream:
            lines = [line for line in csv.DictReader(stream) if line["row"].startswith("toy64.")]
        systems = {line["row"].removeprefix("toy64.") for line in lines} & set(BASELINES)
        assert systems == (set() if number == 3 else set(BASELINES))
        of_pairs = [line for line in lines if line["row"].removeprefix("toy64.") in BASELINES]
        assert not [line for line in of_pairs if "-" in line.values()]
    with (tables / "costs.csv").open(newline="") as stream:
        costs = {line["row"]: line for line in csv.DictReader(stream)}
    assert len(costs) == 5 + len(BASELINES)
    assert all(float(line[name]) > 0 for line in costs.values() for name in ("step_gflop", "frame_gflop", "step_s"))
    sheets = {path.stem for path in (reproduced / "reports" / "small" / "figures").glob("toy64.*.png")}
    assert {f"toy64.{name}" for name in BASELINES} <= sheets

    # What is one method's own trains that method; what all share trains all; another row of `model` trains none.
    settings, yaml = reproduced / "params.yaml", YAML()
    whole = settings.read_text()
    for keys, value, stages in (
        (("networks", "toy64", "fomm", "learning_rate", "generator"), 0.0007, {"baseline@fomm"}),
        (("recipes", "toy64", "iterations"), 3, {f"baseline@{name}" for name in BASELINES}),
        (("model", "guidance"), "geom_disp", set()),
    ):
        tree = section = yaml.load(whole)
        for key in keys[:-1]:
            section = section[key]
        section[keys[-1]] = value
        with settings.open("w") as stream:
            yaml.dump(tree, stream)
        would = ran(run("dvc", "repro", "--dry", cwd=reproduced))
        assert {stage for stage in would if stage.startswith("baseline@")} == stages, keys
        assert any(stage.startswith("train@") for stage in would) == (keys[0] == "recipes"), keys
