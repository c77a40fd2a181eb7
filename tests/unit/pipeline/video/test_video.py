import sys

import numpy as np
import pytest

from pipeline.video.decode import VideoError, decode
from tests.videos import SIZE_HW, frame_number, write_video

HEIGHT, WIDTH = SIZE_HW


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("video") / "numbered.mp4", 60, faststart=True)


def read(path, numbers):
    return decode(path, lambda info: (list(numbers), np.copy))


@pytest.fixture
def no_decord(monkeypatch):
    monkeypatch.setitem(sys.modules, "decord", None)


@pytest.mark.parametrize("numbers", [range(60), range(17, 41), [3, 4, 30, 31, 59]])
def test_both_decoders_give_exactly_the_frames_asked_for(video, numbers, monkeypatch):
    first = read(video, numbers)
    monkeypatch.setitem(sys.modules, "decord", None)
    second = read(video, numbers)
    for decoded in (first, second):
        assert (decoded.info.width, decoded.info.height, decoded.info.fps) == (WIDTH, HEIGHT, 25.0)
        assert decoded.info.num_frames == 60
        assert [frame_number(frame) for frame in decoded.frames] == list(numbers)
        assert decoded.frames[0].shape == (HEIGHT, WIDTH, 3)
    assert "decord is not installed" in second.note
    assert max(np.abs(a.astype(int) - b).max() for a, b in zip(first.frames, second.frames, strict=True)) <= 1
    if first.note == "":
        middle = first.frames[0][HEIGHT // 2, -8]
        assert middle[0] > 200, "red grows to the right"
        assert 90 < middle[1] < 165, "green is half-way down"


def test_decord_is_used_where_it_is_installed(video):
    pytest.importorskip("decord")
    assert read(video, range(3)).note == ""


def test_a_missing_or_empty_file_has_its_own_reason(tmp_path):
    with pytest.raises(VideoError) as missing:
        read(tmp_path / "none.mp4", [0])
    assert missing.value.reason == "missing_source"
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(VideoError) as empty:
        read(tmp_path / "empty.mp4", [0])
    assert empty.value.reason == "empty_file"


def test_a_file_that_is_no_video_is_a_decode_error_naming_it(tmp_path):
    (tmp_path / "text.mp4").write_text("no video\n" * 100)
    with pytest.raises(VideoError, match=r"decode_error.*text\.mp4"):
        read(tmp_path / "text.mp4", [0])


def test_a_truncated_file_still_gives_its_whole_beginning(video, tmp_path):
    cut = tmp_path / "cut.mp4"
    data = video.read_bytes()
    cut.write_bytes(data[: len(data) * 6 // 10])
    with pytest.raises(VideoError) as error:
        read(cut, range(60))
    assert error.value.reason == "truncated"
    assert "of 60 frames" in error.value.message
    beginning = read(cut, range(12))
    assert [frame_number(frame) for frame in beginning.frames] == list(range(12))
    assert "PyAV" in beginning.note


def test_a_file_without_its_table_of_contents_is_a_decode_error(tmp_path):
    whole = write_video(tmp_path / "whole.mp4", 20)
    data = whole.read_bytes()
    whole.write_bytes(data[: len(data) * 6 // 10])
    with pytest.raises(VideoError) as error:
        read(whole, range(20))
    assert error.value.reason == "decode_error"


def test_errors_of_the_plan_pass_through_both_decoders(video):
    def plan(info):
        raise VideoError("no_frames", "nothing wanted")

    with pytest.raises(VideoError, match="no_frames: nothing wanted"):
        decode(video, plan)


def test_where_decord_is_absent_every_fault_says_so(video, tmp_path, no_decord):
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(video.read_bytes()[:-3000])
    with pytest.raises(VideoError, match=r"truncated.*cut\.mp4.*decord is not installed"):
        read(cut, range(60))
