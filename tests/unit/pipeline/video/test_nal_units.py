import av
import numpy as np
import pytest

from pipeline.video.decode import VideoError, decode
from pipeline.video.info import read_packets
from pipeline.video.nal_units import is_damaged, length_size
from tests.helpers import shared
from tests.videos import frame_number, write_video


def unit(payload):
    return len(payload).to_bytes(4, "big") + payload


def test_units_that_fill_a_packet_are_whole():
    assert not is_damaged(unit(b"\x65\x01") + unit(b"\x41\x00\x00\x03\x00"), 4)
    assert not is_damaged(unit(b"\x65\x01" + bytes(20)), 4)  # padding
    assert not is_damaged(b"", 4)


@pytest.mark.parametrize(
    "packet",
    [unit(b"\x65\x01") + bytes(4), unit(b"\x65" * 9)[:-1], unit(b"\x65" + bytes(8) + b"\x65"), bytes(100), b"\x00\x00"],
)
def test_zeros_and_wrong_lengths_are_damage(packet):
    assert is_damaged(packet, 4)


def test_the_length_is_read_from_the_configuration():
    assert length_size("h264", b"\x01\x64\x00\x1f\xff") == 4
    assert length_size("h264", b"\x00\x00\x00\x01\x67") == 0
    assert length_size("hevc", bytes([1, *[0] * 20, 0xFD])) == 2
    assert length_size("vp9", None) == 0


def test_a_zeroed_frame_spoils_the_clips_that_need_it_and_no_others(tmp_path):
    path = write_video(tmp_path / "v.mp4", 60, faststart=True)  # a key frame every 12
    with av.open(str(path)) as container:
        packet = next(p for p in container.demux(video=0) if p.pts is not None and p.pts == 27 * 512)
        at, size = packet.pos, packet.size
    data = bytearray(path.read_bytes())
    data[at + size // 4 : at + 3 * size // 4] = bytes(3 * size // 4 - size // 4)
    path.write_bytes(data)
    assert read_packets(path).damaged.tolist() == [27]
    for numbers in (range(20, 30), range(24, 28), [30, 31], [27]):
        with pytest.raises(VideoError, match=r"damaged: .*v\.mp4: 1 frames .* are damaged: 27"):
            decode(path, lambda info, numbers=numbers: (list(numbers), np.copy))
    for numbers in (range(24), range(36, 60)):
        decoded = decode(path, lambda info, numbers=numbers: (list(numbers), np.copy))
        assert [frame_number(frame) for frame in decoded.frames] == list(numbers)


def test_real_videos_are_whole():
    videos = sorted(shared("realvox/videos").glob("*.mp4")) + sorted(shared("voxceleb2_samples").rglob("*.mp4"))
    assert len(videos) == 15
    for video in videos:
        packets = read_packets(video)
        assert packets.complete
        assert packets.damaged.tolist() == []
        assert packets.info.times_s is None
