"""Where decoding may begin: packets after which no picture needs one from before, read from the packets' own bytes.

A container's mark of a key frame is not enough. In open groups the pictures that follow a key frame and are shown
before it need the group before; a recovery point of H.264 may promise whole pictures only some frames later; an
AVI may mark every frame. What is promised here is: decoding from such a packet gives, bit for bit, every picture
that is shown at its time or later. Some packets promise more: with them a decoder forgets all that it held.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

from pipeline.video.nal_units import unescaped

START_CODE = re.compile(re.escape(b"\0\0\1"))
H264_IDR, H264_SEI, H264_SPS = 5, 6, 7
HEVC_IRAP, HEVC_IDR, HEVC_PICTURES, HEVC_SPS = range(16, 22), (19, 20), range(32), 33
SEI_RECOVERY_POINT = 6
MPEG12_PICTURE, MPEG12_INTRA, MPEG12_GROUP = b"\0\0\1\0", 1, b"\0\0\1\xb8"
MPEG4_PICTURE, MPEG4_INTRA = b"\0\0\1\xb6", 0
AV1_FRAMES, AV1_KEY = (3, 6), 0  # units with a frame's header

# Codecs of which the bytes are read below. A file of any other, unless each of its pictures stands alone, is decoded
# from its beginning.
CODECS = ("h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "vp8", "vp9", "av1")


def begins_anew(codec: str, packet: bytes, prefix: int) -> bool:
    """Whether decoding may begin at a packet that its container marks as key; `prefix` as of `length_size`."""
    if codec in ("h264", "hevc"):
        return _units_begin_anew(codec, packet, prefix)
    if codec in ("mpeg1video", "mpeg2video"):
        at = packet.find(MPEG12_PICTURE)
        return 0 <= at < len(packet) - 5 and packet[at + 5] >> 3 & 7 == MPEG12_INTRA
    if codec == "mpeg4":
        at = packet.find(MPEG4_PICTURE)
        return 0 <= at < len(packet) - 4 and packet[at + 4] >> 6 == MPEG4_INTRA
    if codec == "vp8":
        return not packet[0] & 1
    if codec == "vp9":
        shows_old, is_inter, _ = _vp9_bits(packet)
        return not shows_old and not is_inter
    return codec == "av1" and _av1_begins_anew(packet)


def resets(codec: str, packet: bytes, prefix: int) -> bool:
    """Whether nothing behind a packet from which decoding may begin needs what was before, whenever it is shown.

    So it is with H.264 and H.265's IDR, VP8's and VP9's key frames, and closed groups of MPEG-1 and 2.
    """
    if codec == "h264":
        return any(unit and _unit_type(codec, unit) == H264_IDR for unit in units(packet, prefix))
    if codec == "hevc":
        return any(unit and _unit_type(codec, unit) in HEVC_IDR for unit in units(packet, prefix))
    if codec in ("mpeg1video", "mpeg2video"):
        at = packet.find(MPEG12_GROUP)
        return 0 <= at < len(packet) - 7 and bool(packet[at + 7] >> 6 & 1)
    return codec in ("vp8", "vp9")


def is_shown(codec: str, packet: bytes) -> bool:
    """Whether a packet gives a picture: VP8 and VP9 hide reference pictures in packets of their own."""
    if codec == "vp8":
        return bool(packet[0] >> 4 & 1)
    if codec == "vp9":
        is_superframe = packet[-1] & 0xE0 == 0xC0  # frames in one packet, of which the last is shown
        shows_old, _, shown = _vp9_bits(packet)
        return bool(is_superframe or shows_old or shown)
    return True


def stated_size(codec: str, packet: bytes, prefix: int) -> bytes:
    """What a key packet says of its pictures' size, to be compared; empty where it says nothing."""
    if codec == "vp8":
        return packet[6:10]
    if codec in ("h264", "hevc"):
        sps = H264_SPS if codec == "h264" else HEVC_SPS
        return b"".join(dict.fromkeys(u for u in units(packet, prefix) if u and _unit_type(codec, u) == sps))
    return b""


def units(packet: bytes, prefix: int) -> Iterator[bytes]:
    """Units of a packet of H.264 or H.265, with lengths before them (`prefix` bytes) or start codes."""
    if not prefix:
        codes = [match.start() for match in START_CODE.finditer(packet)]
        for code, end in pairwise([*codes, len(packet)]):
            yield packet[code + 3 : end].rstrip(b"\0")
        return
    at = 0
    while at + prefix < len(packet):
        begin = at + prefix
        at = begin + int.from_bytes(packet[at:begin], "big")
        yield packet[begin:at]


def _unit_type(codec: str, unit: bytes) -> int:
    return unit[0] & 31 if codec == "h264" else unit[0] >> 1 & 63


def _units_begin_anew(codec: str, packet: bytes, prefix: int) -> bool:
    for unit in units(packet, prefix):
        if not unit:
            continue
        kind = _unit_type(codec, unit)
        if codec == "hevc":
            if kind in HEVC_PICTURES:
                return kind in HEVC_IRAP
        elif kind == H264_IDR or (kind == H264_SEI and _recovers_at_once(unescaped(unit[1:]))):
            return True
        elif kind < H264_IDR:
            return False
    return False


def _recovers_at_once(messages: bytes) -> bool:
    """Whether a unit of SEI messages holds a recovery point of no frames' delay and exact pictures."""
    at = 0
    while at + 2 < len(messages):
        kind, at = _sei_number(messages, at)
        size, at = _sei_number(messages, at)
        if kind == SEI_RECOVERY_POINT and at < len(messages):
            return messages[at] >> 6 == 3  # one bit says that no frame is to be waited for, the next that it is exact
        at += size
    return False


def _sei_number(messages: bytes, at: int) -> tuple[int, int]:
    number = 0
    while at < len(messages) and messages[at] == 255:
        number, at = number + 255, at + 1
    return number + (messages[at] if at < len(messages) else 0), at + 1


def _vp9_bits(packet: bytes) -> tuple[int, int, int]:
    """show_existing_frame, frame_type (0: key) and show_frame of a packet's first frame."""
    bits = int.from_bytes(packet[:2].ljust(2, b"\0"), "big")
    at = 11 - (bits >> 12 & 3 == 3)  # profile 3 has a reserved bit
    return bits >> at & 1, bits >> at - 1 & 1, bits >> at - 2 & 1


def _av1_begins_anew(packet: bytes) -> bool:
    """Whether the first frame is a key frame that is shown at once."""
    at = 0
    while at < len(packet):
        kind, extended, sized = packet[at] >> 3 & 15, packet[at] >> 2 & 1, packet[at] >> 1 & 1
        at += 1 + extended
        size, shift = 0, 0
        while sized and at < len(packet):
            size |= (packet[at] & 127) << shift
            shift, at = shift + 7, at + 1
            if not packet[at - 1] & 128:
                break
        if kind in AV1_FRAMES and at < len(packet):
            shows_old, frame_type, shown = packet[at] >> 7, packet[at] >> 5 & 3, packet[at] >> 4 & 1
            return not shows_old and frame_type == AV1_KEY and bool(shown)
        at += size if sized else len(packet)
    return False
