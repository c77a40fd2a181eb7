import numpy as np
import pytest

from pipeline.video.starts import CODECS, begins_anew, is_shown, resets, stated_size, units

START = b"\0\0\1"


def lengths(*units):
    return b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)


def codes(*units):
    return b"".join(b"\0" + START + unit for unit in units)


IDR, PICTURE = b"\x65\x88", b"\x41\x9a"
AT_ONCE = bytes([6, 6, 1, 0b11000100, 0x80])  # recovery point, no frames to wait for, exact
LATER = bytes([6, 6, 1, 0b01010001, 0x80])  # one frame to wait for
AFTER_A_TEXT = bytes([6, 5, 2, 0, 0, 3, 6, 1, 0b11000100, 0x80])  # user data whose zeros are kept from a start code
SPS = b"\x67\x64\x00\x0a"


@pytest.mark.parametrize("write", [lengths, codes])
def test_h264_begins_anew_at_an_idr_and_at_a_recovery_point_of_no_delay(write):
    prefix = 4 if write is lengths else 0
    assert list(units(write(SPS, IDR), prefix)) == [SPS, IDR]
    for packet, anew, reset in (
        (write(SPS, IDR), True, True),
        (write(AT_ONCE, PICTURE), True, False),
        (write(AFTER_A_TEXT, PICTURE), True, False),
        (write(LATER, PICTURE), False, False),
        (write(PICTURE), False, False),
        (write(PICTURE, AT_ONCE), False, False),
        (b"", False, False),
    ):
        assert (begins_anew("h264", packet, prefix), resets("h264", packet, prefix)) == (anew, reset)
    assert stated_size("h264", write(SPS, IDR), prefix) == SPS
    assert stated_size("h264", write(SPS, SPS, IDR), prefix) == SPS
    assert stated_size("h264", write(AT_ONCE, PICTURE), prefix) == b""


@pytest.mark.parametrize(("kind", "anew", "reset"), [(19, True, True), (21, True, False), (1, False, False)])
def test_h265_begins_anew_at_pictures_of_random_access(kind, anew, reset):
    packet = lengths(bytes([33 << 1, 1, 7]), bytes([kind << 1, 1, 9]))
    assert (begins_anew("hevc", packet, 4), resets("hevc", packet, 4)) == (anew, reset)
    assert stated_size("hevc", packet, 4) == bytes([33 << 1, 1, 7])


def test_older_codecs_begin_anew_at_intra_pictures():
    group_open, group_closed = START + b"\xb8\0\0\0\x20", START + b"\xb8\0\0\0\x40"
    intra, predicted = START + b"\0\0\x0f\xff", START + b"\0\0\x17\xff"
    assert begins_anew("mpeg2video", group_open + intra, 0)
    assert not begins_anew("mpeg2video", group_open + predicted, 0)
    assert resets("mpeg1video", group_closed + intra, 0)
    assert not resets("mpeg1video", group_open + intra, 0)
    assert begins_anew("mpeg4", START + b"\xb6\x10", 0)
    assert not begins_anew("mpeg4", START + b"\xb6\x50", 0)
    assert not begins_anew("mpeg4", b"", 0)


def test_hidden_pictures_of_vp8_and_vp9():
    assert begins_anew("vp8", b"\x10" + bytes(9), 0)
    assert not begins_anew("vp8", b"\x11" + bytes(9), 0)
    assert [is_shown("vp8", data) for data in (b"\x11", b"\x01")] == [True, False]
    key, inter, hidden, again = 0b10000010, 0b10000110, 0b10000100, 0b10001000
    assert [begins_anew("vp9", bytes([b, 0]), 0) for b in (key, inter, hidden, again)] == [True, False, False, False]
    assert [is_shown("vp9", bytes([b, 0])) for b in (key, inter, hidden, again)] == [True, True, False, True]
    assert is_shown("vp9", bytes([hidden, 0, 0b11000000]))  # a superframe
    assert is_shown("h264", b"\0")


def test_av1_begins_anew_at_a_key_frame_that_is_shown_at_once():
    delimiter, sequence = b"\x12\x00", b"\x0a\x03\0\0\0"
    for first, anew in ((0b00010000, True), (0b00000000, False), (0b00110000, False), (0b10000000, False)):
        assert begins_anew("av1", delimiter + sequence + b"\x32\x02" + bytes([first, 0]), 0) is anew
    assert not begins_anew("av1", delimiter, 0)


@pytest.mark.parametrize("codec", CODECS)
def test_damaged_packets_are_read_without_an_error(codec):
    rng = np.random.default_rng(0)
    for size in [*range(1, 12)] * 20:
        packet = rng.choice(np.array([0, 0, 1, 6, 0x32, 0x40, 0xB6, 0xFF], np.uint8), size).tobytes()
        for prefix in (0, 1, 4):
            assert begins_anew(codec, packet, prefix) in (True, False)
            assert resets(codec, packet, prefix) in (True, False)
            assert is_shown(codec, packet) in (True, False)
            assert isinstance(stated_size(codec, packet, prefix), bytes)


def test_nothing_is_believed_of_codecs_that_are_not_read():
    assert not begins_anew("theora", b"\0\0\0", 0)
