"""An eighth published system by what the docs say: a forgotten key is named, its row stands, no other runs again."""

import json
import sys
from pathlib import Path

import pytest
import torch
from dvc.repo import Repo

from tests.e2e.project_copy import copy_project, run
from tests.eighth_system import insert_lines, write_files
from tests.helpers import ROOT

SYSTEM = "overlay"
GRAPH = "tests/arch/test_graph.py::"
KEYS = [
    f"{GRAPH}test_every_row_has_one_training_and_one_evaluation[puppets]",
    f"{GRAPH}test_the_report_depends_on_the_results_of_every_row[puppets]",
]
REST = [
    f"{GRAPH}test_every_published_system_has_its_rooms_its_release_and_its_card",
    f"{GRAPH}test_a_stage_of_one_method_depends_on_all_that_it_reaches_and_on_no_other_method",
    *(f"{GRAPH}test_code_dependencies_are_the_rooms_that_imports_reach[{stage}]"
      for stage in ("baseline", "evaluate", "figures", "train")),
]  # fmt: skip
CONFORMANCE = ["tests/unit/pipeline/methods/test_conformance.py", "-k", SYSTEM]


def check(project: Path, *tests: str, ok: bool = True) -> str:
    return run(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *tests, cwd=project, ok=ok)


def stages_of(project: Path) -> dict[str, tuple]:
    """Command, dependencies, parameters and outputs of every stage."""
    with Repo(str(project)) as repo:
        return {
            stage.name: (
                stage.cmd,
                sorted((dep.def_path, *map(str, getattr(dep, "params", ()))) for dep in stage.deps),
                sorted(out.def_path for out in stage.outs),
            )
            for stage in repo.index.stages
        }


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    return copy_project(tmp_path_factory.mktemp("eighth") / "project", ROOT / "params.yaml")


def test_an_eighth_system_stands_in_the_tables_by_what_the_docs_say(copy, tmp_path, monkeypatch):
    monkeypatch.setenv("PWM_ASSETS", str(tmp_path / "assets"))
    before = stages_of(copy)
    touched = write_files(copy)
    assert len(touched) == 6
    assert insert_lines(copy, "pipeline/method_table.py") == 1
    assert insert_lines(copy, "pipeline/assets.py") == 1
    run(sys.executable, "-m", "pipeline.cli", "assets", "record", SYSTEM, cwd=copy)
    touched += ["pipeline/method_table.py", "pipeline/assets.py", "assets.lock.json"]

    said = check(copy, *KEYS, ok=False)
    assert "2 failed" in said
    assert f"'{SYSTEM}'" in said
    assert f"data/results/{SYSTEM}" in said
    assert insert_lines(copy, "dvc.yaml") == 5
    assert "failed" not in check(copy, *KEYS, *REST)
    assert "passed" in check(copy, *CONFORMANCE)

    after = stages_of(copy)
    assert set(after) - set(before) == {f"baseline@{SYSTEM}", f"evaluate@{SYSTEM}"}
    changed = {name for name in before if after[name] != before[name]}
    reading = {name for name, (_, deps, _) in before.items()
               if any(Path(file).is_relative_to(dep[0]) for dep in deps for file in touched)}  # fmt: skip
    assert changed == {"figures", "report"}
    assert reading == {"weights", "figures"}  # `weights` writes the same hashes to all others

    torch.save({"net": {"share": torch.full((3, 1, 1), 0.5)}}, tmp_path / "overlay.pth")
    said = run(
        sys.executable, "-m", "tests.eighth_system", SYSTEM, str(tmp_path / "overlay.pth"), str(tmp_path), cwd=copy
    )
    (found,) = [json.loads(line) for line in said.splitlines() if line.startswith('{"rows"')]
    assert found["rows"] == [[f"official.{SYSTEM}", "Overlay", "", ["shows the driver through the source"]]]
    assert found["scored"] == found["pairs"] > 100
    assert found["off"] <= 1
