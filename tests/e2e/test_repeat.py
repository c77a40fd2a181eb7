"""`pwm repeat` on a finished run: equal bytes, other bytes, and what it refuses."""

import subprocess
import sys

import pytest

from tests.e2e.project_copy import run
from tests.small_corpus import digests

pytestmark = pytest.mark.slow

PWM = (sys.executable, "-m", "pipeline.cli", "repeat")
CHEAP = ("weights", "heads", "pairs", "headline", "figures", "train@toy64.puppet.nmfc")


def files_of(project):
    """Hashes of the project's files; git, DVC and Python keep notes of their own whenever they look."""
    notes = (".git/", ".dvc/")
    return {
        name: at for name, at in digests(project).items() if not name.startswith(notes) and "__pycache__" not in name
    }


@pytest.mark.parametrize("stage", CHEAP)
def test_a_stage_writes_the_same_bytes_again_and_none_into_the_project(reproduced, stage):
    before = files_of(reproduced)
    said = run(*PWM, stage, cwd=reproduced)
    assert "equal" in said
    assert "different" not in said
    assert files_of(reproduced) == before


def test_reports_made_at_another_commit_differ_where_they_name_it(reproduced, tmp_path):
    said = ended(reproduced, 1, "report", "--into", str(tmp_path / "again"))
    differing = [line.split()[1] for line in said.stdout.splitlines() if line.startswith("different")]
    assert {path.rsplit("/", 1)[1] for path in differing} == {
        "index.html",
        "table1.md",
        "table2.md",
        "table3.md",
        "table4.md",
    }
    for path in differing:
        before, again = ((root / path).read_text().splitlines() for root in (reproduced, tmp_path / "again"))
        lines = [pair for pair in zip(before, again, strict=True) if pair[0] != pair[1]]
        assert len(lines) == 1 or path.endswith("html")
        assert all("commit" in line for pair in lines for line in pair)


def test_crops_are_the_same_with_one_process(reproduced):
    before = files_of(reproduced)
    said = run(*PWM, "crop", "--workers", "1", cwd=reproduced)
    assert "equal      data/clips/train/index.parquet" in said
    assert "equal      data/clips/eval/index.parquet" in said
    assert files_of(reproduced) == before


def test_videos_are_the_same_under_other_instructions_and_are_kept_where_asked(reproduced, tmp_path):
    setting = ("--env", "ATEN_CPU_CAPABILITY=default", "--into", str(tmp_path / "again"))
    said = run(*PWM, "videos@puppets2", *setting, cwd=reproduced)
    assert "different" not in said
    made = digests(tmp_path / "again" / "data" / "videos" / "puppets2")
    assert made == digests(reproduced / "data" / "videos" / "puppets2")
    assert "exists" in run(*PWM, "videos@puppets2", *setting, cwd=reproduced, ok=False)


def test_code_that_has_changed_is_named_and_its_bytes_are_seen(reproduced):
    before = digests(reproduced / "data")
    path = reproduced / "pipeline" / "bench" / "pairs.py"
    text = path.read_text()
    path.write_text(text + "# another comment\n")
    try:
        said = run(*PWM, "pairs", cwd=reproduced)
        assert "pipeline/bench changed since it ran" in said
        (reproduced / "stages" / "pairs.py").write_text(
            (reproduced / "stages" / "pairs.py").read_text().replace('"seed": str(params.seed)', '"seed": "other"')
        )
        assert "different  data/pairs.parquet" in ended(reproduced, 1, "pairs").stdout
        assert digests(reproduced / "data") == before
    finally:
        run("git", "checkout", "--quiet", "pipeline", "stages", cwd=reproduced)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("crops",), "there is no stage 'crops'"),
        (("fit@flame",), "fit@puppet"),
        (("pairs", "--workers", "2"), "no --workers"),
        (("pairs", "--env", "OMP"), "NAME=VALUE"),
        (("pairs", "--cores", "4096"), "--cores 4096"),
        (("pairs", "--into", "data/clips/again"), "lies in data"),
    ],
)
def test_what_makes_no_sense_is_refused(reproduced, arguments, said):
    assert said in refused(reproduced, *arguments)


def test_a_stage_that_has_not_run_or_whose_inputs_changed_is_refused(reproduced):
    params = reproduced / "params.yaml"
    params.write_text(params.read_text().replace("per_person: 4", "per_person: 5"))
    assert "params.yaml" in refused(reproduced, "pairs")
    run("git", "checkout", "--quiet", "params.yaml", cwd=reproduced)
    fits = reproduced / "data" / "fits" / "puppet" / "eval.parquet"
    fits.unlink()
    assert "data/fits/puppet/eval.parquet" in refused(reproduced, "pairs")
    assert "dvc checkout" in refused(reproduced, "fit@puppet")
    run("dvc", "checkout", cwd=reproduced)
    lock = reproduced / "dvc.lock"
    lock.write_text("schema: '2.0'\nstages: {}\n")
    assert "has not run yet" in refused(reproduced, "pairs")


def ended(project, code, *arguments):
    """`pwm repeat`, which must end with this exit code."""
    done = subprocess.run([*PWM, *arguments], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    return done


def refused(project, *arguments):
    """What `pwm repeat` says in one line, with exit code 2."""
    done = ended(project, 2, *arguments)
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done.stderr
