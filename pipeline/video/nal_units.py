"""Whether a packet of H.264 or H.265 is damaged, from its bytes alone.

Decoders conceal what they cannot read: they repeat the last picture and say nothing. The units of a healthy packet
fill it exactly and hold no run of zeros, because both standards forbid three zero bytes in a unit (H.264 section
7.4.1, H.265 section 7.4.2.1). Single flipped bits leave that whole, and cannot be seen here.
"""

ZEROS = bytes(8)  # three would do; encoders that pad badly are let pass


def length_size(codec: str, extradata: bytes | None) -> int:
    """Bytes of the length before each unit, by the codec's configuration record; 0 where units have none."""
    if codec == "h264" and extradata and len(extradata) > 4 and extradata[0] == 1:
        return (extradata[4] & 3) + 1
    if codec == "hevc" and extradata and len(extradata) > 21 and extradata[0] == 1:
        return (extradata[21] & 3) + 1
    return 0


def is_damaged(packet: bytes, size: int) -> bool:
    """Whether units with lengths of `size` bytes fail to fill the packet, or one holds a run of zeros.

    Zeros at a unit's end are padding.
    """
    at = 0
    while at < len(packet):
        begin = at + size
        at = begin + int.from_bytes(packet[at:begin], "big")
        if at == begin or at > len(packet) or packet.find(ZEROS, begin, at) >= 0:
            if begin < at <= len(packet) and ZEROS not in packet[begin:at].rstrip(b"\0"):
                continue
            return True
    return False


def unescaped(unit: bytes) -> bytes:
    """A unit without the bytes that keep start codes out of it."""
    return unit.replace(b"\0\0\3", b"\0\0")
