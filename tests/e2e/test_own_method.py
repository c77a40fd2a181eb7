"""Somebody else's frames become a row of every table, by the commands and the script that the docs show."""

import re
import shutil
import sys

import pandas as pd
import pytest

from pipeline.reading import read_scores
from tests.e2e.project_copy import run
from tests.helpers import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture
def project(reproduced, tmp_path, monkeypatch):
    """The reproduced project with an assets folder of this test."""
    monkeypatch.setenv("PWM_ASSETS", str(tmp_path / "assets"))
    return reproduced


PAPERS = {"fid", "csim", "akd_px", "aed", "apd", "l1", "ssim", "lpips"}  # columns of the paper; others stand beside


def pwm(project, *command: str, ok: bool = True) -> str:
    return run(sys.executable, "-m", "pipeline.cli", *command, cwd=project, ok=ok)


def script() -> str:
    """The docs' example."""
    return re.search(r"```python\n(# blend\.py\n.*?)```", (ROOT / "docs" / "own_method.md").read_text(), re.DOTALL)[1]


def table(project, number: int) -> str:
    return (project / "reports" / "small" / "tables" / f"table{number}.md").read_text()


def cells(scores: pd.DataFrame, row: str) -> pd.DataFrame:
    keys = ["dataset", "task", "metric"]
    chosen = scores[scores["method"] == row].astype({key: str for key in keys})
    return chosen.set_index(keys).sort_index()


def test_frames_of_anybodys_method_join_every_table(project, tmp_path):
    pairs, mine = tmp_path / "pairs", tmp_path / "mine"
    said = pwm(project, "pairs", "export", str(pairs), "--window", "2")
    assert "README.md says what is what" in said
    code = script().replace("../pairs", str(pairs)).replace("../mine", str(mine))
    (tmp_path / "blend.py").write_text(code)
    run(sys.executable, str(tmp_path / "blend.py"), cwd=project)
    shutil.copytree(pairs / "source", tmp_path / "copies")
    shutil.copytree(pairs / "driving", tmp_path / "truth")
    for name in ("mine", "copies", "truth"):
        assert "stands in bench.own" in pwm(project, "score", str(tmp_path / name), "--name", name)
    ran = set(re.findall(r"Running stage '(.*?)'", run("dvc", "repro", cwd=project)))
    assert "own" in ran
    assert not {stage.split("@")[0] for stage in ran} & {
        "train",
        "fit",
        "crop",
        "videos",
        "pairs",
        "evaluate",
        "controls",
    }
    for number in (1, 2):
        assert "Blend" in table(project, number)
    assert "Blend (`mine`): frames that were brought, not trained on data sets of these tables." in table(project, 1)
    scores = read_scores(project / "reports" / "small")
    copied, control = cells(scores, "copies"), cells(scores, "copy source")
    blend = cells(scores, "Blend")["value"]
    assert blend.loc[control.index[control["value"].notna()]].notna().all()  # MS-SSIM is a dash at this size
    assert copied.loc[control.index, "value"].to_list() == pytest.approx(
        control["value"].to_list(), abs=1e-9, nan_ok=True
    )
    perfect = cells(scores, "truth").xs("same", level="task")["value"].groupby("metric").first().dropna()
    papers = {metric: value for metric, value in perfect.items() if metric.split("[")[0] in PAPERS}
    assert {metric.split("[")[0] for metric in papers} == PAPERS
    for metric, value in papers.items():
        best = 1.0 if metric.split("[")[0].startswith(("csim", "ssim")) else 0.0
        assert value == pytest.approx(best, abs=1e-3), metric
    assert "no longer in bench.own" in pwm(project, "unscore", "copies")


def test_a_changed_pair_list_leaves_a_dash_with_the_reason(project, tmp_path):
    pairs = tmp_path / "pairs"
    pwm(project, "pairs", "export", str(pairs))
    pwm(project, "score", str(pairs / "source"), "--name", "mine")
    row = tmp_path / "assets" / "own" / "mine" / "row.json"
    row.write_text(re.sub(r'"pairs_sha256": "[0-9a-f]+"', '"pairs_sha256": "0"', row.read_text()))
    run("dvc", "repro", "own", "report", cwd=project)
    assert "its frames are not those that bench.own names" in table(project, 1)
