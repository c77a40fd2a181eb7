import sys
from dataclasses import replace

import pytest

from pipeline.cropping import run as crop_run
from pipeline.cropping.clip import CropTask, crop_clip
from pipeline.cropping.run import crop_tasks
from pipeline.sources.boxes import WholeFrame
from pipeline.sources.request import ClipRequest
from pipeline.work.dask_run import Outcome, run
from tests.videos import CROP, write_video


def tasks(folder, names):
    made = []
    for name in names:
        path = write_video(folder / f"{name}.mp4", 4)
        request = ClipRequest(name, "D", "test", "p", name, 0, None, WholeFrame(), path, 1)
        made.append(CropTask.plan(request, CROP, folder))
    return made


def test_a_clip_that_decord_took_down_is_given_to_pyav(tmp_path, monkeypatch):
    def fake(function, items, **_):
        for index, item in enumerate(items):
            if item.request.clip == "hangs" and item.use_decord:
                yield Outcome(index, None, "worker_died", "more than 1 s")
            else:
                yield Outcome(index, function(item))

    monkeypatch.setattr(crop_run, "run", fake)
    planned = tasks(tmp_path, ["fine", "hangs"])
    made = list(crop_tasks(planned, workers=1, scheduler=None, timeout_s=1))
    assert [(task.request.clip, reason) for task, reason, _ in made] == [("fine", "ok"), ("hangs", "ok")]
    assert made[0][2] == ""
    assert made[1][2] == "decoded by PyAV instead of decord: with it the worker process hung or crashed"
    assert planned[1].file().exists()


def test_a_clip_that_nobody_can_decode_is_reported_once(tmp_path, monkeypatch):
    def fake(function, items, **_):
        return (Outcome(index, None, "worker_died", "twice") for index in range(len(items)))

    monkeypatch.setattr(crop_run, "run", fake)
    made = list(crop_tasks(tasks(tmp_path, ["bad"]), workers=1, scheduler=None, timeout_s=1))
    assert [(reason, detail) for _, reason, detail in made] == [("worker_died", "twice")]


def test_the_decoder_is_no_part_of_a_finished_clips_name(tmp_path):
    (task,) = tasks(tmp_path, ["one"])
    assert replace(task, use_decord=False).file() == task.file()


def test_a_note_is(tmp_path):
    (task,) = tasks(tmp_path, ["one"])
    noted = replace(task, request=replace(task.request, note="took one.mp4"))
    assert noted.file() != task.file()
    assert crop_clip(noted) == ("ok", "took one.mp4")


def parent_module_is_here(name):
    return name in sys.modules


def test_workers_are_fresh_processes_and_no_forks(monkeypatch):
    monkeypatch.setitem(sys.modules, "only_in_the_parent", sys)
    assert parent_module_is_here("only_in_the_parent")
    (outcome,) = run(parent_module_is_here, ["only_in_the_parent"], workers=1, scheduler=None, timeout_s=60)
    assert outcome.value is False


HANGING_DECORD = """
import time
from types import SimpleNamespace
class DECORDError(Exception): pass
logging = SimpleNamespace(QUIET=0, set_level=lambda level: None)
cpu = lambda number: None
def VideoReader(*args, **options): time.sleep(600)
"""


@pytest.mark.slow
def test_a_clip_on_which_decord_hangs_is_decoded_by_pyav_in_the_end(tmp_path, monkeypatch):
    (tmp_path / "decord.py").write_text(HANGING_DECORD)
    monkeypatch.syspath_prepend(str(tmp_path))  # spawned workers inherit it
    monkeypatch.delitem(sys.modules, "decord", raising=False)
    (planned,) = tasks(tmp_path, ["hangs"])
    ((_, reason, detail),) = crop_tasks([planned], workers=1, scheduler=None, timeout_s=8)
    assert (reason, detail) == ("ok", "decoded by PyAV instead of decord: with it the worker process hung or crashed")
    assert planned.file().exists()
