"""The benchmarks of the data stages: all ways do the same work, and pages show numbers beside goals."""

import cv2
import numpy as np
import pytest

from benchmarks import crop, loader
from benchmarks.robustness import measure_index
from benchmarks.robustness_page import markdown
from benchmarks.timing import environment
from model.heads.head import load_head
from pipeline.cropping.clip import crop_clip, load_cropped
from pipeline.sources.fomm_csv import COLUMNS
from pipeline.store.clips import decode_frame
from pipeline.store.provenance import ROOT


def test_fomms_way_and_ours_make_the_same_clip(tmp_path):
    pytest.importorskip("skimage")
    pytest.importorskip("imageio")
    (task,) = crop.make_tasks(tmp_path, 1, 3, ROOT / "params.yaml")
    assert crop.crop_like_fomm(task) == ("ok", "")
    assert crop_clip(task) == ("ok", "")
    theirs = [cv2.imread(str(path), cv2.IMREAD_COLOR_RGB) for path in sorted(task.scratch.glob("fomm/*/*.png"))]
    ours = [decode_frame(image) for image in load_cropped(task.file()).images]
    assert np.shape(ours) == np.shape(theirs) == (3, 256, 256, 3)
    assert np.abs(np.subtract(ours, theirs, dtype=float)).mean() < 2  # resizes differ by one, JPEG by another


def test_rates_of_cropping_leave_the_start_out(monkeypatch):
    ticks = iter([0.0, 4.0, 5.0, 6.0, 7.0, 8.0])  # the beginning, four results, the end
    monkeypatch.setattr(crop.time, "perf_counter", lambda: next(ticks))
    spent = iter([1.0, 2.0, 3.0, 5.0])
    monkeypatch.setattr(crop, "_cpu_seconds", lambda: next(spent))
    found = crop.timed(iter([("ok", "")] * 4), 2, 10)
    assert found == {"frames_per_second": 10.0, "with_start_up": 5.0, "per_cpu_second": 20 / 3}


def test_the_page_of_cropping_shows_ratios_of_turns_and_a_reason_where_there_are_none():
    def runs(*rates):
        return [{"frames_per_second": r, "with_start_up": r / 2, "per_cpu_second": r / 4} for r in rates]

    found = {"fomm": [], "pool": runs(100.0, 50.0, 80.0), "dask": runs(90.0, 100.0, 76.0)}
    report = environment("benchmarks.crop", 2) | {"clips": 4, "frames": 5, "workers": 2, "turns": 3, "runs": found}
    report["ratios"] = {name: crop.ratios(found["dask"], found[name]) for name in crop.GOALS}
    text = crop.page(report | {"reason": "imageio not installed"})
    assert "| ours, plain pool of processes | 0.95 | 0.95 | 0.95 | at least 0.9 |" in text
    assert "| FOMM's way | - (imageio not installed) |" in text
    assert crop.ratios(found["dask"], runs(9.0))["frames_per_second"] == 10.0


def test_all_stores_give_the_same_frames_and_the_page_names_the_goals(tmp_path, monkeypatch):
    monkeypatch.setattr(loader, "ROUNDS", 1)
    monkeypatch.setattr(loader, "BATCH", 2)
    loader.make_stores(tmp_path, 2, 6, load_head(loader.HEAD))
    reading = loader.readers(tmp_path)
    expected = reading["png_folder"]("p#v1#000000#000006", 4, 1)
    for read in reading.values():
        images = read("p#v1#000000#000006", 4, 1)
        assert np.abs(np.subtract(images, expected, dtype=float)).mean() < 4  # both codecs lose something
        assert np.abs(np.subtract(images[::-1], expected, dtype=float)).mean() > 4
    report = environment("benchmarks.loader", 1) | {"clips": 2, "frames": 6, **loader.measure(tmp_path, 6, 4)}
    text = loader.page(report)
    assert "at least 3 |" in text
    assert "at least 40 |" in text
    assert "below 50 |" in text


def test_a_csv_without_videos_has_one_ledger_row_a_row(tmp_path):
    rows = [f"v{i},{i},{i + 100},10-20-110-120,25,640,360,train,id1000{i}" for i in (1, 2, 3, 3)]
    (tmp_path / "boxes.csv").write_text("\n".join([",".join(COLUMNS), *rows, ""]))
    index = measure_index(tmp_path / "boxes.csv", tmp_path / "work")
    assert (index["rows"], index["reasons"]) == (4, {"missing_source": 4})
    made = environment("benchmarks.robustness", 2)
    text = markdown(made | {"index": {"environment": made, **index}})
    assert "| ledger rows | 4 (4 missing_source) |" in text
    assert "Damaged" not in text


def test_the_page_of_growth_shows_what_one_clip_more_costs():
    made = environment("benchmarks.robustness", 2)
    rows = [
        {"clips": clips, "seconds": cpu, "cpu_seconds": cpu, "stage_mb": 99.6, "worker_mb": 200.0}
        for clips, cpu in ((100, 5.0), (1000, 14.0), (2000, 25.0))
    ]
    text = markdown(made | {"scale": {"environment": made, "crop": rows, "fit": rows[:1]}})
    assert "| 1000 | 14.0 | 14.0 | 10.0 | 100 | 200 |" in text
    assert "| 2000 | 25.0 | 25.0 | 11.0 | 100 | 200 |" in text
    assert text.count("| 100 | 5.0 | 5.0 |  | 100 | 200 |") == 2
