"""A stage in a copy of the project whose code is edited while it runs, and scratch folders that cannot be used."""

import os
import shutil
import subprocess
import sys
import time

import pytest

from pipeline.store.scratch_root import LAYOUT
from tests.helpers import ROOT
from tests.small_corpus import crop_arguments, make_corpus

EDITED = "pipeline/cropping/clip.py"


@pytest.fixture
def project(tmp_path):
    """A copy of the code, and a corpus of two videos below it."""
    for folder in ("model", "pipeline", "stages"):
        ignored = shutil.ignore_patterns("__pycache__", "assets")
        shutil.copytree(ROOT / folder, tmp_path / "project" / folder, ignore=ignored)
    make_corpus(tmp_path / "corpus", 2, frames=6)
    return tmp_path / "project"


def start(project):
    command = [
        sys.executable,
        "-m",
        "stages.crop",
        *crop_arguments(project.parent / "corpus", project),
        "--workers",
        "0",
    ]
    env = {**os.environ, "DVC_ROOT": str(project), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, cwd=project, env=env, stderr=subprocess.PIPE, text=True)


def crop(project):
    """Run to the end: exit code, and what was said."""
    process = start(project)
    said = process.communicate(timeout=120)[1]
    return process.returncode, said


def reader_of(pipe, process):
    """Open a named pipe once the process reads it."""
    while process.poll() is None:
        try:
            return os.fdopen(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK), "w")
        except OSError:
            time.sleep(0.01)
    pytest.fail(process.stderr.read())


def pieces(project):
    return sorted((project / "data" / "scratch" / LAYOUT).rglob("*.arrow"))


def test_a_stage_whose_code_is_edited_meanwhile_writes_no_outs_and_exits_1(project):
    params = project.parent / "corpus" / "params.yaml"
    text, source = params.read_text(), (project / EDITED).read_text()
    params.unlink()
    os.mkfifo(params)  # the stage waits for somebody to write to it
    process = start(project)
    with reader_of(params, process) as pipe:
        (project / EDITED).write_text(source + "\n# edited\n")
        pipe.write(text)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 1, said
    assert f"error: the code of stage crop changed while it ran: {EDITED};" in said
    assert "Traceback" not in said
    assert not list((project / "clips").rglob("*"))
    assert len(pieces(project)) == 2
    params.unlink()
    params.write_text(text)

    code, said = crop(project)  # under the new code everything is made anew
    assert code == 0, said
    assert "2 clips asked for, 0 finished before" in said
    shutil.rmtree(project / "clips")
    (project / EDITED).write_text(source)
    code, said = crop(project)  # and what the old code made was kept
    assert code == 0, said
    assert "2 clips asked for, 2 finished before" in said
    assert len(pieces(project)) == 4


def test_pieces_of_an_earlier_layout_are_named_and_not_used(project):
    old = project / "data" / "scratch" / "crop" / "clips" / "person"
    old.mkdir(parents=True)
    (old / "piece.arrow").write_text("old")
    code, said = crop(project)
    assert code == 0, said
    assert said.count("earlier layout are not used; remove them with `rm -r") == 1
    assert f"rm -r {project}/data/scratch/crop`" in said
    assert "0 finished before" in said
    assert (old / "piece.arrow").read_text() == "old"


def test_scratch_that_cannot_be_written_is_one_error_before_any_work(project):
    (project / "data").mkdir()
    (project / "data" / "scratch").write_text("in the way")
    code, said = crop(project)
    assert code == 2
    assert said.strip().count("\n") == 0
    assert f"error: the scratch folder {project}/data/scratch/{LAYOUT} cannot be written" in said
    assert not (project / "clips").exists()
