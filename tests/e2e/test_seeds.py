"""Several seeds of a row, as a user asks for them, and the study that says how much they matter."""

import csv
import hashlib
import json
import re
import sys
from pathlib import Path

import pytest

from tests.e2e.project_copy import run

pytestmark = pytest.mark.slow
ROWS = ("toy64.puppet.nmfc", "toy64.puppet.geom_disp")


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def cells(project: Path) -> list[dict[str, str]]:
    with (project / "reports" / "small" / "tables" / "scores.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_more_seeds_train_the_new_ones_and_widen_the_intervals(reproduced):
    before = {kind: hashes(reproduced / "data" / kind / ROWS[0]) for kind in ("models", "results")}
    params = (reproduced / "params.yaml").read_text()
    (reproduced / "params.yaml").write_text(params.replace("  seeds: 1 ", "  seeds: 2 "))
    said = run("dvc", "repro", cwd=reproduced)
    stages = {stage.split("@")[0] for stage in re.findall(r"Running stage '(.*?)'", said)}
    assert stages == {"train", "baseline", "evaluate", "headline", "figures", "report"}
    for kind, files in before.items():
        after = hashes(reproduced / "data" / kind / ROWS[0])
        assert {name: after[name] for name in files} == files  # the first seed's
        assert {name for name in after if name not in files} == {f"seeds/1/{name}" for name in files}
    ours = [cell for cell in cells(reproduced) if cell["method"].startswith("PWM") and cell["value"]]
    assert ours
    assert {cell["n_seeds"] for cell in ours} == {"2"}
    assert all(float(cell["seed_sd"]) > 0 for cell in ours)
    text = (reproduced / "reports" / "small" / "tables" / "table1.md").read_text()
    assert "means over 2 seeds; their intervals include the variance of 2 trainings" in text


def test_a_study_is_quoted_by_the_tables(reproduced):
    before = hashes(reproduced / "data" / "results")
    params = (reproduced / "params.yaml").read_text()
    few = reproduced / "few.yaml"  # the small corpora have two test people each
    few.write_text(params.replace("  min_people: 8 ", "  min_people: 2 "))
    command = (sys.executable, "-m", "benchmarks.seeds", "--rows", *ROWS, "--seeds", "2", "--params", few.name)
    said = run(*command, cwd=reproduced)
    assert f"{ROWS[0]}: seed 1, 2 of 2" in said
    assert len(re.findall(r"step 4/4", said)) <= 2  # the first seeds come from scratch, as the stage left them
    study = json.loads((reproduced / "reports" / "reference" / "seeds-small.json").read_text())
    assert (study["profile"], study["seeds"], study["rows"]) == ("small", 2, list(ROWS))
    assert {cell["row"] for cell in study["cells"]} == set(ROWS)
    assert all(cell["seed_sd"] > 0 for cell in study["cells"])
    assert hashes(reproduced / "data" / "results") == before
    assert not (reproduced / "data" / "seeds").exists()
    said = run("dvc", "repro", cwd=reproduced)
    assert re.findall(r"Running stage '(.*?)'", said) == ["report"]
    text = (reproduced / "reports" / "small" / "tables" / "table1.md").read_text()
    assert "A study of 2 seeds of 2 rows (seeds-small.md in reports/reference" in text
