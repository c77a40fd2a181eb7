"""Crop and fit in the graph: one video more, a person forgotten, failures tried again."""

import shutil

import pytest
from ruamel.yaml import YAML

from pipeline.store.clips import ClipStore
from pipeline.store.schema import read_table
from tests.e2e.project_copy import copy_project, run
from tests.helpers import ROOT
from tests.small_corpus import add_video, make_corpus, person, write_people

pytestmark = pytest.mark.slow
QUIET = {"PWM_WORKERS": "0"}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The project with a small corpus of given videos, cropped and fitted by `dvc repro`."""
    corpus = tmp_path_factory.mktemp("given")
    params = make_corpus(corpus, 4, frames=8)
    for head in ("puppet", "puppet_face"):
        shutil.copyfile(ROOT / "pipeline" / "puppets" / "assets" / f"{head}.npz", corpus / "heads" / f"{head}.npz")
    yaml = YAML()
    values = yaml.load(params.read_text())
    values["bench"] |= {"corpora": [], "head": "puppet"}
    values["model"]["head"] = "puppet"
    values["data"]["heads"] = "heads"
    values["crop"]["max_fail_rate"] = 0.5
    with params.open("w") as stream:
        yaml.dump(values, stream)
    folder = copy_project(tmp_path_factory.mktemp("data_runs") / "project", params)
    run("dvc", "repro", "fit", cwd=folder, **QUIET)
    return folder, corpus


def test_one_video_more_is_one_clip_more_to_crop_and_to_fit(project):
    folder, corpus = project
    add_video(corpus, 5, frames=8)
    write_people(corpus, [0, 1, 2, 3, 5])
    output = run("dvc", "repro", "fit", cwd=folder, **QUIET)
    assert "crop: 5 clips asked for, 4 finished before" in output
    assert "fit puppet: 5 clips, 4 finished before" in output
    assert "v005" in ClipStore(folder / "data" / "clips" / "train").clips()[-1]
    assert "Running stage" not in run("dvc", "repro", "fit", cwd=folder, **QUIET)


def test_a_forgotten_person_does_not_come_back(project):
    folder, _ = project
    gone = person(2)
    said = run("python", "-m", "pipeline.cli", "data", "forget", gone, cwd=folder)
    assert "1 clips from data/clips/eval" in said
    before = (folder / "data" / "clips" / "eval" / "shard-0000.arrow").read_bytes()
    output = run("dvc", "repro", "fit", cwd=folder, **QUIET)
    assert "Running stage 'crop'" in output
    assert "0 clips asked for" not in output
    assert (folder / "data" / "clips" / "eval" / "shard-0000.arrow").read_bytes() == before
    for _ in range(2):
        people = ClipStore(folder / "data" / "clips" / "eval").index["person"].to_pylist()
        assert gone not in people
        fits = read_table(folder / "data" / "fits" / "puppet" / "eval.parquet")["clip"].to_pylist()
        assert not [clip for clip in fits if clip.startswith(gone)]
        run("dvc", "repro", "--single-item", "--force", "crop", cwd=folder, **QUIET)
    assert "Running stage" not in run("dvc", "repro", "fit", cwd=folder, **QUIET)


def test_failures_are_tried_again_through_the_graph_when_asked(project):
    folder, corpus = project
    video = corpus / "vox1" / "videos" / "v000.mp4"
    video.write_bytes(video.read_bytes()[:2000])
    assert "failed, decode_error" in run("dvc", "repro", "crop", cwd=folder, **QUIET)
    again = ("dvc", "repro", "--single-item", "--force", "crop")
    assert "crop: 0 done" in run(*again, cwd=folder, **QUIET)
    assert "crop: 1 done" in run(*again, cwd=folder, **QUIET, PWM_RETRY="failed")
