"""Every start of films of every codec, container and structure gives the frames asked for, whoever decodes."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from pipeline.video.decode import MARK, decode
from pipeline.video.info import read_packets
from pipeline.video.orientation import Orientation
from tests.films import FILMS, LARGE, SMALL, frames_in_turn, write_film
from tests.helpers import shared
from tests.videos import frame_number

NUM_FRAMES = 64
SHORT, LONG, EVERY = 3, 30, 8  # frames of a clip from each start, and of one from every eighth, over key frames
GAPS = ([3, 4, 30], [0, 25, 50], [19, 20, 21, 59], [63])
FIELDS_LEVELS = 16  # decord gives each field its own chroma, PyAV one to both


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Writes films once; gives path, numbers of the frames that are shown, and all of them decoded in turn."""
    folder, made = tmp_path_factory.mktemp("films"), {}

    def get(name):
        if name not in made:
            path = write_film(folder / f"{len(made)}.{FILMS[name].suffix}", FILMS[name], NUM_FRAMES)
            frames = frames_in_turn(path)
            shown = [number for number in range(NUM_FRAMES) if number not in FILMS[name].hidden]
            assert [frame_number(frame) for frame in frames] == shown
            made[name] = path, shown, frames
        return made[name]

    return get


def read(path, numbers):
    return decode(path, lambda info: (list(numbers), np.copy))


def clips(num_frames):
    for start in range(num_frames):
        yield range(start, min(start + (SHORT if start % EVERY else LONG), num_frames))
    yield from ([number for number in numbers if number < num_frames] or [0] for numbers in GAPS)


def check(name, film, decoder):
    path, shown, frames = film(name)
    info = read_packets(path).info
    assert info.num_frames == len(shown)
    if not FILMS[name].hidden:
        assert (info.fps, info.times_s) == (25.0, None)
    allowed = FIELDS_LEVELS if "fields" in name else 0
    for numbers in clips(len(shown)):
        decoded = read(path, numbers)
        assert [frame_number(frame) for frame in decoded.frames] == [shown[number] for number in numbers], numbers
        for number, frame in zip(numbers, decoded.frames, strict=True):
            assert np.abs(frame.astype(int) - frames[number]).max() <= allowed, f"frame {number} of {numbers}"
        if FILMS[name].clean and decoder == "decord":
            assert decoded.note == ""


@pytest.mark.parametrize("name", SMALL)
def test_every_start_gives_the_frames_asked_for(name, film, decoder):
    check(name, film, decoder)


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_every_start_of_every_kind_of_film_gives_the_frames_asked_for(name, film, decoder):
    check(name, film, decoder)


def test_a_decoder_that_cannot_be_trusted_with_a_clip_is_not_used_for_it_and_the_note_says_why(film):
    pytest.importorskip("decord")
    path, _, _ = film("x264 open mp4")
    assert read(path, range(10)).note == ""  # the first group is closed: nothing is sought
    assert read(path, range(30, 40)).note.startswith(
        f"{MARK} instead of decord: a key frame that it would seek to is no"
    )
    assert "mpeg4" in read(film("mpeg4 b avi")[0], [0]).note or "avi" in read(film("mpeg4 b avi")[0], [0]).note


AWKWARD = [
    "cover_first.mp4", "hflip.mp4", "intra_refresh.mp4", "mpeg4_b.mp4", "plain.mp4", "transpose.mp4", "two_tracks.mp4",
    "vp8.ogv", "x264_opengop.mkv", "x264_opengop.mp4", "xvid_b.avi",
]  # fmt: skip
TURNED = {"hflip.mp4": Orientation(flips_columns=True), "transpose.mp4": Orientation(swaps=True)}


@pytest.mark.parametrize("name", AWKWARD)
def test_every_start_of_an_awkward_file_gives_the_frames_asked_for(name, decoder):
    path = shared("awkward") / name
    info = read_packets(path).info
    expected = by_ffmpeg(path)
    for numbers in clips(info.num_frames):
        decoded = read(path, numbers)
        stored = [TURNED[name].apply(frame) if name in TURNED else frame for frame in decoded.frames]  # own inverses
        assert [stripes(frame) for frame in stored] == list(numbers)
        if expected is not None:
            for number, frame in zip(numbers, decoded.frames, strict=True):
                assert np.abs(frame.astype(int) - expected[number]).mean() < 2, f"frame {number} of {numbers}"
    assert (info.fps, info.times_s, info.width, info.height) == (25.0, None, 128, 128)
    assert expected is None or len(expected) == info.num_frames
    assert name != "plain.mp4" or decoder == "pyav" or decoded.note == ""


def stripes(frame):
    """The number over the top quarter of a picture of 128 px."""
    return sum((frame[4:28, 16 * bit + 4 : 16 * bit + 12].mean() > 127) << bit for bit in range(8))


def by_ffmpeg(path: Path) -> np.ndarray | None:
    """All frames of the first video track that is no cover, as the ffmpeg program shows them; None without it."""
    if shutil.which("ffmpeg") is None:
        return None
    track = "0:v:1" if path.name == "cover_first.mp4" else "0:v:0"
    form = ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    command = ["ffmpeg", "-v", "quiet", "-i", str(path), "-map", track, *form]
    data = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(data, np.uint8).reshape(-1, 128, 128, 3)
