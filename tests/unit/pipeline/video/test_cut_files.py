"""Files that were cut anywhere: each frame that is given is the one of its number, whole, or the clip is refused."""

from dataclasses import replace

import av
import numpy as np
import pytest

from pipeline.video.decode import VideoError, decode
from pipeline.video.info import read_packets
from pipeline.video.track import Undecodable
from tests.films import FILMS, Film, frames_in_turn, write_film
from tests.videos import SIZE_HW, frame_image, frame_number

FRAMES = 64
ANYWHERE = ("x264 closed mp4", "x264 fragments mp4", "x264 open mkv", "x264 closed ts", "mpeg2 b ts", "x265 default ts",
            "x264 closed flv", "mpeg4 b avi", "mjpeg avi", "mpeg1 b mpg", "vp9 mp4", "wmv")  # fmt: skip


def whole_film(folder, name):
    film = FILMS[name]
    if film.suffix == "mp4" and not film.muxer:  # with its table of contents before the pictures
        film = replace(film, muxer={"movflags": "faststart"})
    return write_film(folder / f"whole.{film.suffix}", film, FRAMES)


def read(path, numbers):
    return decode(path, lambda info: (list(numbers), np.copy))


@pytest.mark.parametrize("name", ANYWHERE)
def test_a_clip_at_the_end_of_a_cut_file_is_right_or_refused(name, tmp_path, decoder):
    whole = whole_film(tmp_path, name)
    pictures, data, refused = frames_in_turn(whole), whole.read_bytes(), 0
    for cut in np.random.default_rng(len(name)).integers(len(data) // 2, len(data), 10).tolist():
        path = tmp_path / f"cut{cut}{whole.suffix}"
        path.write_bytes(data[:cut])
        try:
            held = len(read_packets(path).pts)
        except Undecodable:
            held = 0
        try:
            decoded = read(path, range(max(0, held - 8), max(1, held)))
        except VideoError:  # never an error of another kind
            refused += 1
            continue
        for number, frame in zip(decoded.numbers, decoded.frames, strict=True):
            np.testing.assert_array_equal(frame, pictures[number])
    assert refused or whole.suffix == ".mkv"  # whose reader leaves a half-written packet out


def without(path, kind, lost):
    """A film of B-frames without the packets that a function picks: of its packets in decode order."""
    whole = write_film(path.with_name("whole.ts"), kind, FRAMES)
    with av.open(str(whole)) as container, av.open(str(path), "w") as out:
        track = out.add_stream_from_template(container.streams.video[0])
        packets = [packet for packet in container.demux(video=0) if packet.size]
        first = min(packet.pts for packet in packets)
        numbers = [(packet.pts - first) // 3600 for packet in packets]
        gone = lost(numbers)
        for packet, number in zip(packets, numbers, strict=True):
            packet.stream = track
            if number not in gone:
                out.mux(packet)
    return numbers


B_FRAMES = Film("ts", "libx264", {"crf": "12", "preset": "fast", "x264-params": "scenecut=0:bframes=3:b-adapt=0"})


@pytest.mark.parametrize("suffix", ["ts", "mkv"])
def test_a_picture_lost_among_the_last_shifts_no_number(suffix, tmp_path, decoder):
    """Cut at each packet of the last groups: what is behind the hole is counted as lost, with the hole."""
    kept = FRAMES
    for count in range(FRAMES - 12, FRAMES):
        path = tmp_path / f"cut{count}.{suffix}"
        numbers = without(path, B_FRAMES, lambda numbers, count=count: numbers[count:])
        held = set(numbers[:count])
        hole = min(set(range(FRAMES)) - held)
        info = read_packets(path).info
        assert info.times_s is None
        assert info.num_frames == max(held) + 1
        assert [frame_number(frame) for frame in read(path, range(hole)).frames] == list(range(hole))
        if max(held) > hole:
            kept = min(kept, hole)
            with pytest.raises(VideoError, match="truncated"):
                read(path, range(hole - 4, max(held)))
    assert kept < FRAMES


def test_a_picture_lost_in_the_middle_is_told_by_the_times(tmp_path, decoder):
    path = tmp_path / "hole.ts"
    without(path, B_FRAMES, lambda numbers: [next(n for n in numbers[20:] if n % 4 == 1)])
    decoded = read(path, range(40))
    assert decoded.info.times_s is not None
    shown = [frame_number(frame) for frame in decoded.frames]
    np.testing.assert_allclose(decoded.info.times_s[:40] * 25, shown, atol=0.01)
    assert "not evenly spaced" in decoded.note


def test_a_pause_in_a_whole_film_of_variable_rate_loses_nothing(tmp_path, decoder):
    """The last frame comes late; pictures are in order, so nothing was cut off before it."""
    path = tmp_path / "late.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "12", "bf": "0"})
        (stream.height, stream.width), stream.pix_fmt = SIZE_HW, "yuv420p"
        for number in range(20):
            frame = av.VideoFrame.from_ndarray(frame_image(number), format="rgb24")
            frame.pts = number if number < 19 else 21
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    decoded = read(path, range(20))
    assert [frame_number(frame) for frame in decoded.frames] == list(range(20))
    assert decoded.info.times_s is not None
