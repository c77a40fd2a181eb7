"""The faults that `benchmarks.fuzz` gives to whole videos and annotations."""

import random
import struct
import tempfile
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import numpy as np

SIZE_HW = (240, 320)
FRAMES, FPS = 40, 25
STRIPES_XY, STRIPE_WH = (80, 64), (10, 40)  # left and top of the frame's number, one stripe a bit

Damage = Callable[[bytes, random.Random], bytes]


def synthetic_video(
    path: Path, codec: str, fps: int, *, audio: bool = False, rotation: int = 0, more: dict[str, str] | None = None
) -> Path:
    """Write a moving gradient of `FRAMES` frames, each with its number; with `audio`, a file of sound alone.

    Args:
        path: file to write; its suffix names the container.
        codec: FFmpeg's name of the encoder.
        fps: frames a second.
        audio: write no picture.
        rotation: degrees that a player turns pictures by.
        more: options of the encoder.
    """
    options = {"fflags": "+bitexact"} | ({"movflags": "faststart"} if path.suffix == ".mp4" else {})
    with av.open(str(path), "w", options=options) as container:
        if audio:
            sound = container.add_stream("aac", rate=16_000)
            for i in range(50):
                samples = np.sin(np.arange(1024)[None] / 9 + i).astype(np.float32)
                frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
                frame.sample_rate, frame.pts = 16_000, 1024 * i
                container.mux(sound.encode(frame))
            container.mux(sound.encode())
            return path
        # The others at a rate that keeps a B-frame from showing the mean of its neighbours, and so no number.
        quality = {"crf": "32", "preset": "ultrafast"} if codec == "libx264" else {"b": "4M"}
        stream: Any = container.add_stream(codec, rate=fps, options={"g": "12", **quality, **(more or {})})
        stream.height, stream.width = SIZE_HW
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1  # encoders give other bytes with more
        if rotation:
            stream.set_display_rotation(rotation)
        rows, columns = np.mgrid[: SIZE_HW[0] * 3 // 2, : SIZE_HW[1]]
        for i in range(FRAMES):
            planes = (128 + 60 * np.sin((rows + 3 * i) / 17) + 60 * np.cos((columns - 2 * i) / 23)).astype(np.uint8)
            _write_number(planes, i)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
        container.mux(stream.encode())
    return path


def _write_number(planes: np.ndarray, number: int) -> None:
    """Eight grey stripes in a 4:2:0 picture, within all boxes that are annotated, bright where a bit is 1."""
    height, width = SIZE_HW
    for bit in range(8):
        left = STRIPES_XY[0] + bit * STRIPE_WH[0]
        planes[STRIPES_XY[1] : STRIPES_XY[1] + STRIPE_WH[1], left : left + STRIPE_WH[0]] = (
            235 if number >> bit & 1 else 16
        )
    colour = planes[height:].reshape(2, height // 2, width // 2)
    (left, top), (wide, high) = (s // 2 for s in STRIPES_XY), (s // 2 for s in STRIPE_WH)
    colour[:, top : top + high, left : left + 8 * wide] = 128


def read_number(clip: np.ndarray, crop_map: Sequence[float]) -> int:
    """The number in a square picture that was cropped by a map from the video's pixels to -1..1."""
    side, number = len(clip), 0
    for bit in range(8):
        x, y = STRIPES_XY[0] + (bit + 0.5) * STRIPE_WH[0], STRIPES_XY[1] + STRIPE_WH[1] / 2
        column, row = ((crop_map[i] * x + crop_map[i + 1] * y + crop_map[i + 2] + 1) / 2 * side for i in (0, 3))
        number |= int(clip[int(row), int(column)].mean() > 127) << bit
    return number


# --- faults of a file ---


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(1, len(data))]


def _flip_bits(data: bytes, rng: random.Random) -> bytes:
    damaged = bytearray(data)
    for _ in range(rng.choice((1, 8, 64, 512))):
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def _zero_middle(data: bytes, rng: random.Random) -> bytes:
    length = rng.randrange(16, max(17, len(data) // 4))
    begin = rng.randrange(len(data) // 4, max(len(data) // 4 + 1, 3 * len(data) // 4 - length))
    return data[:begin] + bytes(length) + data[begin + length :]


def _wrong_header(data: bytes, rng: random.Random) -> bytes:
    head = rng.choice((b"\xff\xd8\xff\xe0" * 16, b"<html>not found</html>", rng.randbytes(64), b"RIFF\0\0\0\0AVI "))
    return head + data[len(head) :]


def _sound_only(data: bytes, rng: random.Random) -> bytes:
    return _sound()


def _no_frames(data: bytes, rng: random.Random) -> bytes:
    """Keep an mp4's movie header and drop every sample of its first track."""
    return _patch_table(data, b"stsz", lambda body: body[:8] + struct.pack(">I", 0) + body[12:])


def _huge_size(data: bytes, rng: random.Random) -> bytes:
    """Declare 65535x65535 in the mp4's sample description and track header."""
    damaged = bytearray(data)
    for entry, offset, form in ((b"avc1", 28, ">HH"), (b"tkhd", 80, ">II")):
        at = data.find(entry)
        if at > 0:
            value = 65_535 if form == ">HH" else 65_535 << 16
            struct.pack_into(form, damaged, at + offset, value, value)
    return bytes(damaged)


def _wrong_rate(data: bytes, rng: random.Random) -> bytes:
    scale = rng.choice((0, 1, 7, 2**31 - 1))
    return _patch_table(data, b"mdhd", lambda body: body[:12] + struct.pack(">I", scale) + body[16:])


def _wrong_durations(data: bytes, rng: random.Random) -> bytes:
    delta = rng.choice((0, 1, 10**9))
    return _patch_table(data, b"stts", lambda body: body[:12] + struct.pack(">I", delta) + body[16:])


def _too_many_frames(data: bytes, rng: random.Random) -> bytes:
    """Promise a thousand frames more than there are: decord may wait for them for ever."""
    return _patch_table(
        data, b"stts", lambda body: body[:8] + struct.pack(">I", struct.unpack(">I", body[8:12])[0] + 1000) + body[12:]
    )


def _shuffle(data: bytes, rng: random.Random) -> bytes:
    blocks = [data[i : i + 4096] for i in range(0, len(data), 4096)]
    middle = blocks[1:]
    rng.shuffle(middle)
    return b"".join(blocks[:1] + middle)


def _patch_table(data: bytes, name: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """Change the body of an mp4's first box of a name; files that have none are cut in half."""
    at = data.find(name)
    if at < 4:
        return data[: len(data) // 2]
    length = struct.unpack(">I", data[at - 4 : at])[0]
    return data[: at + 4] + change(data[at + 4 : at - 4 + length]) + data[at - 4 + length :]


@lru_cache(maxsize=1)
def _sound() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return synthetic_video(Path(folder) / "sound.mp4", "", 0, audio=True).read_bytes()


VIDEO_FAULTS: dict[str, Damage] = {
    "whole": lambda data, rng: data,
    "cut": _cut,
    "bits flipped": _flip_bits,
    "middle zeroed": _zero_middle,
    "wrong header": _wrong_header,
    "blocks shuffled": _shuffle,
    "empty": lambda data, rng: b"",
    "noise": lambda data, rng: rng.randbytes(4096),
    "no frames": _no_frames,
    "sound only": _sound_only,
    "huge size": _huge_size,
    "wrong rate": _wrong_rate,
    "wrong rate of frames": _wrong_durations,
    "too many frames": _too_many_frames,
    "garbage appended": lambda data, rng: data + rng.randbytes(5000),
}

# --- faults of an annotation: what becomes of a box, or of the text as a whole ---

ANNOTATION_FAULTS: dict[str, Callable[[tuple, random.Random], tuple | str]] = {
    "negative": lambda box, rng: (-40, -30, *box[2:]),
    "NaN": lambda box, rng: ("nan", *box[1:]),
    "reversed": lambda box, rng: (box[0], box[1], -box[2], -box[3]),
    "outside": lambda box, rng: (5000, 5000, *box[2:]),
    "huge": lambda box, rng: (10**30, 10**400, *box[2:]),
    "nothing": lambda box, rng: (box[0], box[1], 0, 0),
    "not a number": lambda box, rng: ("ten", *box[1:]),
    "too few columns": lambda box, rng: box[:2],
    "text cut": lambda box, rng: "cut",
    "text empty": lambda box, rng: "empty",
    "binary": lambda box, rng: "binary",
    "frames repeated": lambda box, rng: "repeated",
}
