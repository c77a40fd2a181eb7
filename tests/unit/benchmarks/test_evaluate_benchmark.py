"""The benchmark of scoring: what it makes to score, what it sees of memory, and what its page says."""

import sys

import numpy as np
import pytest

from benchmarks import evaluate, memory
from benchmarks.timing import environment
from pipeline.bench.pair_frames import load_pair_frames
from pipeline.metrics.images import Images

HOLD = "import time; held = bytearray({megabytes} << 20); held[::4096] = b'x' * len(held[::4096]); time.sleep(1.5)"


def test_memory_of_children_counts_and_memory_of_others_does_not():
    child = HOLD.format(megabytes=120)
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}]); print('done')"
    mine = bytearray(200 << 20)
    mine[::4096] = b"x" * len(mine[::4096])
    used, out = memory.measured([sys.executable, "-c", parent], {})
    assert out == "done\n"
    assert 120 << 20 < used["peak_bytes"] < 170 << 20
    assert used["samples"] >= 5
    assert used["wall_s"] > 1.5 > used["cpu_s"]
    with pytest.raises(RuntimeError, match="exit code 3"):
        memory.measured([sys.executable, "-c", "raise SystemExit(3)"], {})


def test_frames_all_differ_and_people_of_cross_pairs_too(tmp_path):
    evaluate.make_clips(tmp_path / "clips", 20, size_px=32)
    evaluate.make_pairs(tmp_path / "pairs.parquet", 400, 20)
    pairs, _ = load_pair_frames(tmp_path / "pairs.parquet", tmp_path / "clips")
    names = Images.of(pairs.frames).names
    assert len(set(names)) == len(names) > 400
    assert np.unique(pairs.task, return_counts=True)[1].tolist() == [200, 200]
    cross = pairs.task == "cross"
    assert (pairs.source_person[cross] != pairs.driving_person[cross]).all()
    assert (pairs.source_clip[~cross] == pairs.driving_clip[~cross]).all()
    assert len({(clip, frame) for clip, frame in zip(pairs.source_clip, pairs.source_frame, strict=True)}) == 400


def report(few_gb: float, many_gb: float) -> dict:
    def used(size: float) -> memory.Used:
        return memory.Used(peak_bytes=int(size * 1e9), samples=9, wall_s=2.0, cpu_s=3.0)

    runs = {job: {"100": used(few_gb), "20000": used(many_gb)} for job in evaluate.JOBS}
    metrics = {"": {"pairs": 100, "wall_s": 1.0, "cpu_s": 2.0}, "l1[0-255]": {"pairs": 50, "wall_s": 0.1, "cpu_s": 0.2}}
    measured = {"few": 100, "many": 20_000, "clips": 840, "size_px": 256, "runs": runs, "metrics": metrics}
    return environment("benchmarks.evaluate", 2) | measured


def test_goals_that_are_missed_are_named():
    numbers = 2 * 4 * (2048 + 53) * (20_000 - 100) / 1e9
    assert evaluate.failures(report(0.4, 0.4 + numbers + 0.2)) == []
    assert evaluate.failures(report(0.4, 0.4 + numbers + 0.3)) == [
        f"{job} grows by {numbers + 0.3:.2f} GB" for job in evaluate.JOBS
    ]
    assert evaluate.failures(report(2.4, 2.6)) == [f"{job} holds 2.60 GB" for job in evaluate.JOBS]
    page = evaluate.page(report(0.4, 0.9))
    assert "| evaluate | 0.40 | 0.90 | 0.50 | 0.17 | 2 | 3 |" in page
    assert "| l1[0-255] | 50 | 2.00 | 4.00 |" in page


@pytest.mark.slow
def test_both_stages_are_measured(tmp_path):
    found = evaluate.measure(tmp_path, 40, 80, size_px=64)
    assert {count for runs in found["runs"].values() for count in runs} == {"40", "80"}
    assert all(used["peak_bytes"] > 50e6 for runs in found["runs"].values() for used in runs.values())
    assert list(found["metrics"]) == ["", "fid[inception]", "aed[deca,flame]", "apd[deca,flame]", "l1[0-255]",
                                      "ssim[gauss11]", "psnr[db]", "kid[inception]",
                                      "yaw_gap[deca,flame]"]  # fmt: skip
    assert evaluate.page(environment("benchmarks.evaluate", 2) | found)
