"""Where finished pieces are kept: apart from those of earlier layouts, and only where they can be written."""

import os
from pathlib import Path

import pytest

from pipeline.store.scratch_root import LAYOUT, ScratchError, check_scratch, earlier_layouts, scratch_dir


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return tmp_path / "data" / "scratch"


def test_a_store_lies_in_the_folder_of_its_layout(scratch):
    assert scratch_dir("fit", "f" * 64) == scratch / LAYOUT / "fit" / ("f" * 20)
    assert scratch_dir("fit", "f" * 64).is_dir()
    assert earlier_layouts() == []


def test_stores_of_earlier_layouts_are_found_and_nothing_else_is(scratch):
    for name in ("crop/clips", "train/abc", "layout1/fit", "puppet_crops", f"{LAYOUT}/fit"):
        (scratch / name).mkdir(parents=True)
    assert earlier_layouts() == [scratch / "crop", scratch / "layout1", scratch / "train"]


def test_scratch_that_is_no_folder_is_refused_with_its_name(scratch):
    scratch.parent.mkdir()
    scratch.write_text("")
    for ask in (check_scratch, lambda: scratch_dir("fit", "abc")):
        with pytest.raises(ScratchError, match=rf"{scratch}/{LAYOUT}.* cannot be written .*put a link"):
            ask()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_scratch_is_refused_with_its_name(scratch):
    (scratch / LAYOUT).mkdir(parents=True)
    (scratch / LAYOUT).chmod(0o555)
    with pytest.raises(ScratchError, match="Permission denied"):
        check_scratch()


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="there is no folder that even root may not write")
def test_a_file_system_that_takes_no_files_is_refused_with_its_name(monkeypatch):
    monkeypatch.setenv("DVC_ROOT", "/proc")
    with pytest.raises(ScratchError, match=rf"/proc/data/scratch/{LAYOUT} cannot be written"):
        check_scratch()
