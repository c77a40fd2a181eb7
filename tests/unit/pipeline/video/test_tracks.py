"""What a container says about its pictures: what is up, which track, pixels that are not square, sizes that change."""

from fractions import Fraction

import av
import numpy as np
import pytest
from av.stream import Disposition

from pipeline.video.decode import VideoError, decode
from pipeline.video.info import read_packets
from pipeline.video.orientation import Orientation
from tests.films import Film, write_film
from tests.videos import SIZE_HW, frame_image, frame_number

HEIGHT, WIDTH = SIZE_HW
ONE = 1 << 16
# a, b, c, d of a display matrix: a stored point (x, y) is shown at (a x + c y, b x + d y)
MATRICES = [(1, 0, 0, 1), (-1, 0, 0, 1), (1, 0, 0, -1), (-1, 0, 0, -1),
            (0, 1, 1, 0), (0, 1, -1, 0), (0, -1, 1, 0), (0, -1, -1, 0)]  # fmt: skip


def read(path, numbers):
    return decode(path, lambda info: (list(numbers), np.copy))


def add_video(container, size_hw=SIZE_HW):
    stream = container.add_stream("libx264", rate=25, options={"crf": "12", "g": "12"})
    (stream.height, stream.width), stream.pix_fmt = size_hw, "yuv420p"
    return stream


def picture(number, size_hw=SIZE_HW):
    return av.VideoFrame.from_ndarray(frame_image(number, size_hw), format="rgb24")


def write_turned(path, matrix):
    with av.open(str(path), "w") as container:
        stream = add_video(container)
        a, b, c, d = (value * ONE for value in matrix)
        stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
        for number in range(10):
            container.mux(stream.encode(picture(number)))
        container.mux(stream.encode())
    return path


def shown(image, matrix):
    """Every pixel moved to where the matrix shows its centre; the picture's corner stays at the origin."""
    a, b, c, d = matrix
    height, width = image.shape[:2]
    rows, columns = np.mgrid[:height, :width]
    x, y = a * columns + c * rows, b * columns + d * rows
    x, y = x - x.min(), y - y.min()
    moved = np.zeros((y.max() + 1, x.max() + 1, 3), image.dtype)
    moved[y, x] = image
    return moved


@pytest.mark.parametrize("matrix", MATRICES)
def test_turned_and_mirrored_videos_are_shown_as_a_player_shows_them(tmp_path, matrix, decoder):
    path = write_turned(tmp_path / "turned.mp4", matrix)
    expected = shown(frame_image(7), matrix).astype(int)
    decoded = read(path, [7])
    assert (decoded.info.height, decoded.info.width) == expected.shape[:2]
    assert np.abs(decoded.frames[0] - expected).mean() < 8


@pytest.mark.parametrize("matrix", [(0.7, 0.7, -0.7, 0.7), (0, 0, 0, 0)])
def test_a_matrix_that_is_no_quarter_turn_is_refused(matrix):
    a, b, c, d = (int(value * ONE) for value in matrix)
    with pytest.raises(ValueError, match="no quarter turn or mirror"):
        Orientation.of_matrix(np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], np.int32).tobytes())


def test_a_slanted_video_has_its_reason(tmp_path):
    path = write_turned(tmp_path / "slanted.mp4", (0.6, 0.8, -0.8, 0.6))
    with pytest.raises(VideoError, match=r"decode_error.*slanted\.mp4.*no quarter turn or mirror"):
        read(path, [0])


@pytest.mark.parametrize(("default", "first"), [(None, 0), (0, 0), (1, 100)])
def test_one_track_is_chosen_and_its_pictures_are_given(tmp_path, default, first, decoder):
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as container:
        tracks = [add_video(container), add_video(container)]
        for i, track in enumerate(tracks):
            track.disposition = Disposition.default if i == default else Disposition(0)
        for number in range(30):
            for i, track in enumerate(tracks):
                container.mux(track.encode(picture(number + 100 * i)))
        for track in tracks:
            container.mux(track.encode())
    decoded = read(path, range(13, 30))
    assert decoded.info.num_frames == 30
    assert [frame_number(frame) for frame in decoded.frames] == [first + number for number in range(13, 30)]


@pytest.mark.parametrize(("matrix", "aspect"), [((1, 0, 0, 1), 4 / 3), ((0, 1, -1, 0), 3 / 4)])
def test_the_aspect_of_pixels_is_that_of_the_upright_picture(tmp_path, matrix, aspect):
    path = tmp_path / "wide.mp4"
    with av.open(str(path), "w") as container:
        stream = add_video(container)
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        a, b, c, d = (value * ONE for value in matrix)
        stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
        for number in range(5):
            container.mux(stream.encode(picture(number)))
        container.mux(stream.encode())
    info = read_packets(path).info
    assert info.pixel_aspect == pytest.approx(aspect)
    assert {info.width, info.height} == {WIDTH, HEIGHT}


def join(path, parts):
    """Matroska of the packets of several files, one after the other, as a player that switched streams keeps them."""
    with av.open(str(path), "w") as out:
        track, offset = None, 0
        for part in parts:
            with av.open(str(part)) as container:
                video = container.streams.video[0]
                track = track or out.add_stream_from_template(video)
                packets = [packet for packet in container.demux(video) if packet.size]
                begin = min(packet.pts for packet in packets)
                for packet in packets:
                    packet.pts, packet.dts = packet.pts - begin + offset, packet.dts - begin + offset
                    packet.stream = track
                    out.mux(packet)
                offset += 30 * 3600
    return path


def test_pictures_that_change_their_size_are_refused_and_never_stretched(tmp_path, decoder):
    kind = Film("ts", "libx264", {"crf": "12", "g": "10", "bf": "0"})
    parts = [write_film(tmp_path / f"{i}.ts", kind, 30, size) for i, size in enumerate([SIZE_HW, (144, 240)])]
    path = join(tmp_path / "joined.mkv", parts)
    assert read_packets(path).info.num_frames == 60
    assert [frame_number(frame) for frame in read(path, range(12, 30)).frames] == list(range(12, 30))
    for numbers in (range(25, 35), range(40, 50)):
        with pytest.raises(VideoError, match="decode_error.*a frame of 240x144 px among 160x96"):
            read(path, numbers)


def test_frames_that_the_file_has_lost_the_beginning_of_are_not_counted(tmp_path, decoder):
    """A recording that begins within an open group: what needs the group before is no frame of it."""
    kind = Film("ts", "mpeg2video", {"g": "20", "b": "2M", "bf": "2"})
    whole = write_film(tmp_path / "whole.ts", kind, 64)
    with av.open(str(whole)) as container, av.open(str(tmp_path / "cut.mkv"), "w") as out:
        track = out.add_stream_from_template(container.streams.video[0])
        packets = [packet for packet in container.demux(video=0) if packet.size]
        second = [i for i, packet in enumerate(packets) if packet.is_keyframe][1]
        leading = [packet for packet in packets[second:] if packet.pts < packets[second].pts]
        assert len(leading) == 2
        first = (packets[second].pts - min(packet.pts for packet in packets)) // 3600
        for packet in packets[second - 3 :]:
            packet.stream = track
            out.mux(packet)
    info = read_packets(tmp_path / "cut.mkv").info
    assert info.num_frames == 64 - first
    for start in range(info.num_frames):
        numbers = range(start, min(start + 5, info.num_frames))
        frames = read(tmp_path / "cut.mkv", numbers).frames
        assert [frame_number(frame) for frame in frames] == [first + number for number in numbers]


def test_the_end_of_a_file_that_was_cut_and_has_no_times_is_not_guessed(tmp_path, decoder):
    path = write_film(tmp_path / "cut.avi", Film("avi", "mpeg4", {"g": "12", "b": "2M", "bf": "2"}), 64)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 3 // 4])
    packets = read_packets(path)
    held = len(packets.pts)
    assert (packets.info.num_frames, packets.complete) == (64, False)
    assert 30 < held < 60
    sure = range(held - 16)
    assert [frame_number(frame) for frame in read(path, sure).frames] == list(sure)
    with pytest.raises(VideoError, match="truncated"):
        read(path, range(held - 10))


def test_a_raw_stream_is_counted(tmp_path, decoder):
    path = write_film(tmp_path / "raw.h264", Film("h264", "libx264", {"crf": "12", "g": "10", "bf": "3"}), 40)
    decoded = read(path, range(15, 25))
    assert decoded.info.num_frames == 40
    assert [frame_number(frame) for frame in decoded.frames] == list(range(15, 25))
