"""Three ways to the frames of a clip: decord, PyAV, and a folder of images. Each gives upright RGB."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from pipeline.store.images import UnreadableImage, read_image
from pipeline.store.provenance import plain_path
from pipeline.video.info import Packets, Undecodable, VideoInfo, first_line, open_video
from pipeline.work.foreign_files import own_entries

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
SEEKABLE = ("mov", "matroska", "avi")  # containers in which seeking was found to give exactly the frame asked for
IMAGES_FPS = 25.0  # a folder of images states no rate; VoxCeleb's crops are of this one


def read_decord(path: Path, packets: Packets, numbers: Sequence[int]) -> Iterator[np.ndarray]:
    """Decode frames `numbers` (ascending) with decord, one decoder thread; sequential reading does not seek.

    Raises:
        ImportError: decord is not installed: it has no wheel for this platform.
        Undecodable: decord fails, or would: it waits for ever for frames that a container promises and
            does not hold (dmlc/decord issue 373), numbers frames wrongly where it counts others, and
            seeks to wrong frames in containers without an index, such as MPEG-TS.
    """
    import decord

    if not packets.complete or not len(packets.pts):
        raise Undecodable("the container promises frames that it does not hold, or gives them no times")
    if not packets.container.startswith(SEEKABLE):
        raise Undecodable(f"it does not seek exactly in {packets.container}")
    decord.logging.set_level(decord.logging.QUIET)
    errors = (decord.DECORDError, RuntimeError, IndexError)
    try:
        video = decord.VideoReader(plain_path(path), ctx=decord.cpu(0), num_threads=1)
        held = len(video)
    except errors as error:
        raise Undecodable(first_line(error)) from error
    if held != packets.info.num_frames:
        raise Undecodable(f"it counts {held} frames, the packets are of {packets.info.num_frames}")
    for number in numbers:
        try:
            frame = video[number].asnumpy()
        except errors as error:
            raise Undecodable(f"frame {number}: {first_line(error)}") from error
        yield frame


def read_av(path: Path, packets: Packets, numbers: Sequence[int]) -> Iterator[np.ndarray]:
    """Decode frames `numbers` (ascending) with PyAV; stops early where the file does.

    Frames are known by the rank of their presentation time; where a container has no times they are
    counted from its beginning.
    """
    import av

    pts = packets.pts
    if len(pts) and numbers[0] >= len(pts):
        return
    wanted = iter(numbers)
    number = next(wanted)
    with closing(open_video(path)) as container:
        stream = container.streams.video[0]
        try:
            if len(pts) and packets.container.startswith(SEEKABLE):
                container.seek(int(pts[number]), stream=stream)
            for count, frame in enumerate(container.decode(stream)):
                if number == (_rank(pts, frame.pts) if len(pts) else count):
                    yield np.rot90(frame.to_ndarray(format="rgb24"), packets.quarter_turns)
                    number = next(wanted, -1)
                    if number < 0:
                        return
        except (av.error.FFmpegError, ValueError):
            return  # the caller counts what came


def _rank(pts: np.ndarray, time: int | None) -> int | None:
    """Number of the frame that is shown at a time; None where no packet named it."""
    if time is None:
        return None
    place = int(np.searchsorted(pts, time))
    return place if place < len(pts) and pts[place] == time else None


def list_images(folder: Path) -> list[Path]:
    """The images of a folder in the order of their names.

    Raises:
        Undecodable: there are none, or their names are numbers with one missing.
    """
    images = [path for path in own_entries(folder) if path.suffix.lower() in IMAGE_SUFFIXES]
    if not images:
        raise Undecodable(f"the folder holds no images ({', '.join(IMAGE_SUFFIXES)})")
    if all(path.stem.isdecimal() for path in images):
        numbers = [int(path.stem) for path in images]
        for i, number in enumerate(numbers):
            if number != numbers[0] + i:
                raise Undecodable(f"image {numbers[0] + i} is missing or doubled: {images[i].name} follows")
    return images


def images_info(images: Sequence[Path]) -> VideoInfo:
    """Size of the first image, number of all.

    Raises:
        Undecodable: the first image cannot be read.
    """
    height, width = next(read_images(images, [0])).shape[:2]
    return VideoInfo(width, height, IMAGES_FPS, len(images))


def read_images(images: Sequence[Path], numbers: Sequence[int]) -> Iterator[np.ndarray]:
    """Decode images `numbers`.

    Raises:
        Undecodable: an image cannot be read; the message names it.
    """
    for number in numbers:
        try:
            yield read_image(images[number].read_bytes())
        except UnreadableImage as error:
            raise Undecodable(f"{images[number].name} {error}") from None
