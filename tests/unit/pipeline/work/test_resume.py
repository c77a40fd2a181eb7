"""What a re-run of the stages does again, and what it leaves alone."""

import os
import time

import pytest
import torch

import stages.crop
from model.atomic import ABANDONED_S
from pipeline.cropping import run as crop_run
from pipeline.cropping.clip import crop_clip
from pipeline.fitting import run as fit_module
from pipeline.fitting.run import FitWork, fit_clips
from pipeline.params.tree import load_params
from pipeline.store.scratch_root import LAYOUT
from pipeline.work.scratch import (
    piece_path,
    recall_failure,
    remember_failure,
    remove_pieces,
    sweep,
    written_at_once,
)
from tests.small_corpus import HEAD, add_video, digests, make_corpus, write_people


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    make_corpus(tmp_path, 4, frames=8)
    return tmp_path


@pytest.fixture
def cropped(monkeypatch):
    """Names of the clips that were decoded, as they come."""
    made = []

    def counted(task):
        made.append(task.request.video)
        return crop_clip(task)

    monkeypatch.setattr(crop_run, "crop_clip", counted)
    return made


def crop(root, retry="missing", **changes):
    params = load_params(root / "params.yaml")
    params = params.model_copy(update={"crop": params.crop.model_copy(update={"max_fail_rate": 1.0, **changes})})
    stages.crop.run(params, root / "clips", root / "forgotten.txt", workers=0, clip_timeout_s=60, retry=retry)


def test_after_one_video_was_added_one_video_is_cropped(corpus, cropped):
    crop(corpus)
    assert sorted(cropped) == ["v000", "v001", "v002", "v003"]
    cropped.clear()
    add_video(corpus, 5, frames=8)
    write_people(corpus, [0, 1, 2, 3, 5])
    crop(corpus)
    assert cropped == ["v005"]


def test_what_failed_is_tried_again_only_when_asked_or_when_the_video_changed(corpus, cropped, capsys):
    video = corpus / "vox1" / "videos" / "v001.mp4"
    good = video.read_bytes()
    video.write_bytes(good[: len(good) // 2])
    crop(corpus)
    ledgers = digests(corpus / "clips")
    cropped.clear()
    crop(corpus)
    assert cropped == []
    assert "1 missing or failed before are left as they are (--retry failed" in capsys.readouterr().err
    assert digests(corpus / "clips") == ledgers
    crop(corpus, retry="failed")
    assert cropped == ["v001"]
    video.write_bytes(good)
    crop(corpus)
    assert cropped == ["v001", "v001"]
    assert digests(corpus / "clips") != ledgers


def test_a_missing_video_needs_no_worker(corpus, cropped):
    (corpus / "vox1" / "videos" / "v001.mp4").unlink()
    crop(corpus, max_missing_rate=1.0)
    assert "v001" not in cropped


def test_fit_goes_on_where_it_stopped(corpus, monkeypatch):
    crop(corpus)
    params = load_params(corpus / "params.yaml")
    folders = {"VoxCeleb1": corpus / "vox1", "VoxCeleb2": corpus / "vox2"}
    fitted = []
    whole = fit_module.fit_clip

    def stop_at_the_third(task):
        if len(fitted) == 2:
            raise KeyboardInterrupt
        fitted.append(task.info.video)
        whole(task)

    def fit(out):
        work = FitWork(workers=0, scheduler=None, clip_timeout_s=60, retry_failed=False)
        fit_clips(
            params.fit,
            corpus / "heads" / f"{HEAD}.npz",
            corpus / "clips",
            folders,
            corpus / out,
            work,
            torch.device("cpu"),
        )

    monkeypatch.setattr(fit_module, "fit_clip", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        fit("fits")
    first = list(fitted)
    monkeypatch.setattr(fit_module, "fit_clip", lambda task: (fitted.append(task.info.video), whole(task))[1])
    fit("fits")
    assert len(fitted) == 4
    assert set(fitted[2:]).isdisjoint(first)
    monkeypatch.setenv("DVC_ROOT", str(corpus / "elsewhere"))
    fit("again")
    assert digests(corpus / "again") == digests(corpus / "fits")


def test_a_piece_is_whole_or_absent_and_its_failure_goes_with_success(tmp_path):
    path = piece_path(tmp_path, "person", "video/00003", "abc", ".x")
    assert path.parent.parent == tmp_path
    remember_failure(path, "crashed", "why")
    assert recall_failure(path) == ("crashed", "why")

    def stop_half_way():
        with written_at_once(path) as partial:
            partial.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop_half_way()
    assert [p.name for p in path.parent.iterdir()] == [path.name + ".failed.json"]
    with written_at_once(path) as partial:
        partial.write_text("whole")
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert recall_failure(path) is None


def test_only_old_partial_files_are_swept(tmp_path):
    old, young = (tmp_path / "hash" / f"{name}.partial" for name in ("old", "young"))
    old.parent.mkdir()
    for path in (old, young):
        path.touch()
    os.utime(old, (time.time() - ABANDONED_S - 60,) * 2)
    sweep(tmp_path)
    assert list(old.parent.iterdir()) == [young]


def test_pieces_of_a_person_or_a_video_go_from_the_stores_of_every_layout(tmp_path):
    for layout in ("", "layout1", LAYOUT):
        for name in ("person", "other"):
            piece = piece_path(tmp_path / layout / "fit" / "key", name, f"{name}s video/00003", "abc", ".x")
            piece.parent.mkdir(parents=True)
            piece.touch()
    assert remove_pieces(tmp_path, "person") == 3
    assert remove_pieces(tmp_path, "others video") == 3
    assert not [path for path in tmp_path.rglob("*.x")]
