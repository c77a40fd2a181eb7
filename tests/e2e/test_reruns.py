"""After an edit the stages that name its room run, what the edit reaches is made anew, the rest comes from scratch."""

import hashlib
import re
import shutil
from pathlib import Path

import pytest

from tests.e2e.project_copy import run

pytestmark = pytest.mark.slow
ROW = "toy64.puppet.nmfc"
TWICE_AS_FAR = """
_measured = AbsoluteError.compare
AbsoluteError.compare = lambda self, generated, reference: 2 * _measured(self, generated, reference)
"""
HALF_THE_COLOUR = """
_recoloured = recolour
recolour = lambda batch, amount, *others: _recoloured(batch, amount / 2, *others)
"""


def ran(output: str) -> set[str]:
    return set(re.findall(r"Running stage '(.*?)'", output))


def append(project: Path, module: str, lines: str) -> None:
    with (project / module).open("a") as stream:
        stream.write(lines)


def outputs(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def without_scratch(project: Path, *stages: str) -> None:
    """Make stages anew as a clone would that has no finished pieces and no run cache."""
    scratch, aside = project / "data" / "scratch", project.parent / "scratch aside"
    scratch.rename(aside)
    try:
        run("dvc", "repro", "--force", "--single-item", *stages, cwd=project)
    finally:
        shutil.rmtree(scratch)
        aside.rename(scratch)


def test_an_edit_of_a_metric_scores_again_and_generates_nothing(reproduced):
    before = outputs(reproduced / "data" / "results" / ROW)
    append(reproduced, "pipeline/metrics/l1.py", TWICE_AS_FAR)
    said = run("dvc", "repro", cwd=reproduced)
    stages = {stage.split("@")[0] for stage in ran(said)}
    assert stages == {"evaluate", "controls", "own", "headline", "figures", "report"}
    assert set(re.findall(r"(\d+) of \d+ pairs generated", said)) == {"0"}
    after = outputs(reproduced / "data" / "results" / ROW)
    assert after["predictions.arrow"] == before["predictions.arrow"]
    assert after["scores.parquet"] != before["scores.parquet"]
    without_scratch(reproduced, f"evaluate@{ROW}")
    assert outputs(reproduced / "data" / "results" / ROW) == after


def test_an_edit_of_the_augmentation_trains_anew_and_not_from_an_old_checkpoint(reproduced):
    before = outputs(reproduced / "data" / "models" / ROW)
    append(reproduced, "pipeline/training/augment.py", HALF_THE_COLOUR)
    said = run("dvc", "repro", f"train@{ROW}", cwd=reproduced)
    assert ran(said) == {f"train@{ROW}"}
    after = outputs(reproduced / "data" / "models" / ROW)
    assert after["weights.safetensors"] != before["weights.safetensors"]
    without_scratch(reproduced, f"train@{ROW}")
    assert outputs(reproduced / "data" / "models" / ROW) == after


def test_an_edit_of_the_fit_report_fits_nothing_anew(reproduced):
    before = outputs(reproduced / "data" / "fits" / "puppet")
    append(reproduced, "pipeline/fitting/report.py", "# an edit that changes no number\n")
    said = run("dvc", "repro", "fit@puppet", cwd=reproduced)
    assert ran(said) == {"fit@puppet"}
    (asked, finished) = re.search(r"fit puppet: (\d+) clips, (\d+) finished before", said).groups()
    assert asked == finished
    assert outputs(reproduced / "data" / "fits" / "puppet") == before
