import random
from fractions import Fraction

import av
import numpy as np
import pytest

from benchmarks.faults import VIDEO_FAULTS
from pipeline.video.decode import VideoError, decode, frames_in_range
from pipeline.video.info import read_packets
from pipeline.video.packets import VideoInfo
from pipeline.video.track import Undecodable
from tests.videos import SIZE_HW, frame_image, frame_number, write_video

HEIGHT, WIDTH = SIZE_HW


def write_timed(path, times_ms, rate=25):
    """Numbered frames at any times; Matroska keeps them to the millisecond."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"g": "12", "crf": "12"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        for number, time in enumerate(times_ms):
            frame = av.VideoFrame.from_ndarray(frame_image(number), format="rgb24")
            frame.pts, frame.time_base = int(time), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def read(path, numbers):
    return decode(path, lambda info: (list(numbers), np.copy))


def test_frames_of_a_variable_rate_are_chosen_by_their_times(tmp_path, decoder):
    times = np.cumsum([0] + [20, 60] * 15 + [100] * 10)  # 12.5 frames a second at the end, 25 before
    info = read_packets(write_timed(tmp_path / "v.mkv", times)).info
    assert info.num_frames == len(times)
    np.testing.assert_allclose(info.times_s, times / 1000, atol=1e-9)
    assert info.fps == pytest.approx((len(times) - 1) / (times[-1] / 1000))
    kept = frames_in_range(10, 40, 25, info)
    assert kept == [i for i, time in enumerate(times) if 400 <= time < 1600]
    decoded = read(tmp_path / "v.mkv", kept)
    assert [frame_number(frame) for frame in decoded.frames] == kept
    assert ("PyAV" in decoded.note) == (decoder == "pyav")


def test_a_rate_rounded_to_milliseconds_is_constant(tmp_path):
    info = read_packets(write_timed(tmp_path / "v.mkv", np.round(np.arange(60) * 1000 / 30), 30)).info
    assert info.times_s is None
    assert info.num_frames == 60


def test_frames_that_the_header_promises_and_the_file_lacks_are_counted_and_lost(tmp_path):
    path = write_video(tmp_path / "v.mp4", 24)
    path.write_bytes(VIDEO_FAULTS["too many frames"](path.read_bytes(), random.Random(0)))
    packets = read_packets(path)
    assert (packets.info.num_frames, len(packets.pts), packets.complete) == (1024, 24, False)
    beginning = read(path, range(24))
    assert [frame_number(frame) for frame in beginning.frames] == list(range(24))
    assert "PyAV instead of decord: the container promises frames" in beginning.note
    with pytest.raises(VideoError, match="truncated.*24 of 30 frames"):
        read(path, range(30))
    with pytest.raises(VideoError, match="truncated.*0 of 2 frames"):
        read(path, [40, 41])


@pytest.mark.parametrize(
    ("suffix", "codec"), [("avi", "mpeg4"), ("webm", "libvpx"), ("mkv", "libx264"), ("ts", "mpeg2video")]
)
def test_any_container_gives_the_frames_asked_for(tmp_path, suffix, codec, decoder):
    path = tmp_path / f"v.{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options={"g": "12", "b": "2M"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(40):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame_image(number), format="rgb24")))
        container.mux(stream.encode())
    assert read_packets(path).info == VideoInfo(WIDTH, HEIGHT, 25.0, 40)
    assert [frame_number(frame) for frame in read(path, [5, 6, 17, 39]).frames] == [5, 6, 17, 39]


def test_a_matroska_file_that_was_cut_says_how_long_it_was(tmp_path):
    whole = write_timed(tmp_path / "v.mkv", np.arange(0, 2400, 40))
    assert read_packets(whole).complete
    data = whole.read_bytes()
    whole.write_bytes(data[: len(data) // 2])
    packets = read_packets(whole)
    assert (packets.info.num_frames, packets.complete) == (60, False)
    assert 10 < len(packets.pts) < 50
    with pytest.raises(VideoError, match="truncated"):
        read(whole, range(60))


def test_a_codec_that_does_not_exist_is_refused(tmp_path):
    data = write_video(tmp_path / "v.mp4", 8).read_bytes()
    assert data.count(b"avc1") >= 1
    (tmp_path / "bad.mp4").write_bytes(data.replace(b"avc1", b"qq~7"))
    with pytest.raises(Undecodable, match="codec that is not known"):
        read_packets(tmp_path / "bad.mp4")


def test_sound_alone_is_no_video(tmp_path):
    (tmp_path / "sound.mp4").write_bytes(VIDEO_FAULTS["sound only"](b"", random.Random(0)))
    with pytest.raises(Undecodable, match="holds no video stream"):
        read_packets(tmp_path / "sound.mp4")


def test_a_changed_file_is_read_again(tmp_path):
    path = write_video(tmp_path / "v.mp4", 10)
    assert read_packets(path).info.num_frames == 10
    write_video(path, 12)
    assert read_packets(path).info.num_frames == 12
