"""A finished run of an earlier layout is taken over: what agrees is committed, nothing is trained."""

import json
import re
import sys
from pathlib import Path

import pytest

from tests.e2e.project_copy import run

pytestmark = pytest.mark.slow
ROW = "toy64.puppet.geom_disp"


def adopt(project: Path) -> dict[str, str]:
    """What `pwm adopt` says of every stage."""
    said = run(sys.executable, "-m", "pipeline.cli", "adopt", cwd=project)
    return dict(re.findall(r"^((?:heads|videos|crop|fit|pairs|train|baseline)\S*) +(.+)$", said, flags=re.MULTILINE))


def forget_how_it_was_made(project: Path) -> None:
    """Leave the outputs, but not what DVC knows of them: as after a change of the layout."""
    (project / "dvc.lock").unlink()


def to_run(project: Path) -> set[str]:
    return set(re.findall(r"Running stage '(.*?)'", run("dvc", "repro", "--dry", cwd=project)))


def test_a_finished_run_is_taken_over_and_trains_nothing(reproduced):
    forget_how_it_was_made(reproduced)
    assert {stage.split("@")[0] for stage in to_run(reproduced)} >= {"videos", "crop", "fit", "train"}
    found = adopt(reproduced)
    assert set(found.values()) == {"taken over"}
    assert {f"train@{ROW}", "train@toy64.puppet_face.geom_disp+neural_codes", "crop", "pairs", "baseline@fomm"} <= set(
        found
    )
    assert {stage.split("@")[0] for stage in to_run(reproduced)} <= {
        "evaluate", "controls", "own", "headline", "figures", "report",
    }  # fmt: skip


def test_rows_that_are_older_than_a_key_of_their_recipe_are_taken_over_where_nothing_reads_it(reproduced):
    for file in (reproduced / "data" / "models").glob("*/config.json"):
        config = json.loads(file.read_text())
        del config["generator"]["nmfc_centre"], config["provenance"]["network"]["generator"]["nmfc_centre"]
        config["provenance"]["recipe"] |= config["provenance"].pop("network")  # recipes were in one piece then
        file.unlink()  # it may be a link into DVC's cache
        file.write_text(json.dumps(config))
    forget_how_it_was_made(reproduced)
    found = adopt(reproduced)
    assert found.pop("train@toy64.puppet.nmfc").endswith(
        "its networks.toy64.pwm.generator.nmfc_centre is in_full, wanted now is by_coverage: "
        "set it to in_full, or train the row again"
    )
    assert set(found.values()) == {"taken over"}
    assert {stage for stage in to_run(reproduced) if stage.startswith("train")} == {"train@toy64.puppet.nmfc"}
    params = (reproduced / "params.yaml").read_text()
    (reproduced / "params.yaml").write_text(params.replace("nmfc_centre: by_coverage", "nmfc_centre: in_full"))
    assert set(adopt(reproduced).values()) == {"taken over"}
    assert not {stage for stage in to_run(reproduced) if stage.startswith("train")}


def test_what_does_not_agree_is_left_with_the_reason(reproduced):
    forget_how_it_was_made(reproduced)
    params = (reproduced / "params.yaml").read_text()
    (reproduced / "params.yaml").write_text(params.replace("iterations: 4\n", "iterations: 5\n"))
    weights = reproduced / "data" / "models" / ROW / "weights.safetensors"
    weights.unlink()
    found = adopt(reproduced)
    assert found["crop"] == found["pairs"] == "taken over"
    assert "its step is 4, wanted now is 5" in found["train@toy64.puppet.nmfc"]
    assert "no trained model in" in found[f"train@{ROW}"]
    assert found["baseline@fomm"] == "taken over"  # which has no model here, and the same reason as before
    assert {stage for stage in to_run(reproduced) if stage.startswith("train")} == {
        stage for stage in found if stage.startswith("train")
    }
