"""`dvc exp run --temp` and `--queue`: stages run in a copy that DVC makes of what git has, and find the same files."""

import json
import os
import re
import time
from collections.abc import Callable

import pytest

from tests.e2e.project_copy import run

pytestmark = pytest.mark.slow
METRICS = "reports/small/metrics.json"
GUIDANCES = ("geom_disp", "nmfc")


def file_of(project, experiment: str, file: str) -> str:
    """A file as an experiment has committed it; DVC keeps experiments below refs/exps."""
    refs = run("git", "for-each-ref", "--format=%(refname)", "refs/exps", cwd=project).split()
    (ref,) = [ref for ref in refs if ref.endswith(f"/{experiment}")]
    return run("git", "show", f"{ref}:{file}", cwd=project)


def run_queue(project) -> None:
    """Run what is queued, as `dvc exp run --run-all` does.

    That command waits for its worker to end, which DVC 3.67's may never do: the thread that looks whether all is done
    dies when it reads a message that is being written (kombu's transport by files). The work itself is done then.
    """

    def status() -> str:
        return run("dvc", "queue", "status", cwd=project)

    run("dvc", "queue", "start", cwd=project)
    until(lambda: not re.search(r"\b(Queued|Running)\b", status()), 900)
    run("dvc", "queue", "stop", "--kill", cwd=project)
    until(lambda: "0 active, 0 idle" in status(), 120)


def until(seen: Callable[[], bool], seconds: float) -> None:
    last = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < last
        time.sleep(1)


def test_two_queued_guidances_give_what_the_workspace_gives(reproduced):
    """The row under study is another; all rows are trained already, so nothing is trained in the copies."""
    for guidance in GUIDANCES:
        run("dvc", "exp", "run", "--queue", "--name", f"q-{guidance}", "-S", f"model.guidance={guidance}",
            cwd=reproduced)  # fmt: skip
    run_queue(reproduced)
    for guidance in GUIDANCES:
        log = run("dvc", "queue", "logs", f"q-{guidance}", cwd=reproduced)
        assert re.search(r"Running stage 'headline'|Stage 'headline' is cached", log)
        assert "Running stage 'train" not in log
        run("dvc", "exp", "run", "-S", f"model.guidance={guidance}", cwd=reproduced)
        here = json.loads((reproduced / METRICS).read_text())
        assert json.loads(file_of(reproduced, f"q-{guidance}", METRICS)) == here
        assert here["row"].endswith(guidance)


def test_a_temporary_run_makes_what_changed(reproduced):
    """Clips of another quality: cropped in the copy, with finished pieces kept in the main project's scratch."""
    run("dvc", "exp", "run", "--temp", "--name", "t", "-S", "crop.jpeg_quality=80", "crop", cwd=reproduced)
    assert "jpeg_quality: 80" in file_of(reproduced, "t", "dvc.lock")
    assert "jpeg_quality: 80" not in (reproduced / "dvc.lock").read_text()
    assert not run("git", "status", "--porcelain", cwd=reproduced)


def refusals(said: str) -> list[str]:
    return [line for line in said.splitlines() if line.startswith("error: ")]


@pytest.mark.parametrize("target", [[], ["heads"], ["crop"]])
def test_a_relative_root_that_leaves_the_project_is_refused_with_its_absolute_form(target, reproduced):
    """As a user types it, of a project that was made with that root: DVC has nothing to say before we do."""
    root = os.path.join("..", reproduced.name)
    params = (reproduced / "params.yaml").read_text()
    (reproduced / "params.yaml").write_text(params.replace("  root: .\n", f"  root: {root}\n"))
    run("dvc", "repro", "heads", cwd=reproduced)
    said = run("dvc", "exp", "run", "--temp", "-S", "model.guidance=geom_disp", *target, cwd=reproduced, ok=False)
    assert len(refusals(said)) == 1
    assert f"`-S data.root={reproduced}`" in refusals(said)[0]
    assert "Errno" not in said


def test_a_queued_run_with_such_a_root_is_refused_in_its_log(reproduced):
    root = os.path.join("..", reproduced.name)
    run("dvc", "exp", "run", "--queue", "--name", "away", "-S", f"data.root={root}", cwd=reproduced)
    run_queue(reproduced)
    log = run("dvc", "queue", "logs", "away", cwd=reproduced)
    assert len(refusals(log)) == 1
    assert f"`-S data.root={reproduced}`" in refusals(log)[0]
    assert "Errno" not in log


def test_a_temporary_run_with_the_absolute_form_works(reproduced):
    run("dvc", "exp", "run", "--temp", "--name", "absolute", "-S", f"data.root={reproduced}", "heads", cwd=reproduced)
    assert f"root: {reproduced}" in file_of(reproduced, "absolute", "params.yaml")
    assert not run("git", "status", "--porcelain", cwd=reproduced)
