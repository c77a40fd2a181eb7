import pytest

from benchmarks.faults import ANNOTATION_FAULTS, VIDEO_FAULTS
from benchmarks.fuzz import make_cases, survive
from tests.helpers import SHARED


def check(folder, cases, **how):
    found = survive(folder, cases, **how)
    assert found.unaccounted == []
    assert found.lost_frames == []
    assert found.wrong_frames == []
    assert found.crashed == []
    assert found.reasons["whole", "ok"] > 0
    return found


def test_equal_seeds_give_equal_cases(tmp_path):
    for name in "ab":
        make_cases(tmp_path / name, 20, 3)
    first, second = ([p.read_bytes() for p in sorted((tmp_path / name).rglob("*.*"))] for name in "ab")
    assert first == second


def test_every_fault_is_survived_and_accounted_for(tmp_path):
    faults = len(VIDEO_FAULTS) + len(ANNOTATION_FAULTS)
    found = check(tmp_path, make_cases(tmp_path, 2 * faults, 11), workers=0, clip_timeout_s=10)
    assert {fault for fault, _ in found.reasons} >= set(VIDEO_FAULTS)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_hundreds_of_damaged_files_are_survived_by_workers_that_may_be_killed(tmp_path, seed):
    real = sorted((SHARED / "voxceleb2_samples").rglob("*.mp4"))[:2] + sorted((SHARED / "realvox").rglob("*.mp4"))[-2:]
    check(tmp_path, make_cases(tmp_path, 324, seed, real), workers=2, clip_timeout_s=10)
