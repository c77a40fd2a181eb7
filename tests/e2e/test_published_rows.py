"""Rows of published systems in the graph: an edit of one reaches no other, and they can be left out."""

import json
import re

import pytest

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
