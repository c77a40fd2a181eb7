"""Two ways to the frames of a clip beside decord's: PyAV, and a folder of images. Each gives upright RGB."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.store.images import UnreadableImage, read_image
from pipeline.video.packets import REORDERED, Packets, VideoInfo
from pipeline.video.track import Undecodable, open_video
from pipeline.work.foreign_files import own_entries

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
SEEKABLE = ("mov", "matroska")  # containers that give a packet the same times after a seek as without one
IMAGES_FPS = 25.0  # a folder of images states no rate; VoxCeleb's crops are of this one


def read_av(path: Path, packets: Packets, numbers: Sequence[int]) -> Iterator[np.ndarray]:
    """Decode frames `numbers` (ascending) with PyAV; stops early where the file does.

    Decoding begins at the last packet from which the first frame can be decoded whole, and frames are known by
    their presentation times alone; where a container has no times they are counted from its beginning. The last ones
    of such a file that was cut cannot be told from those that were to come before them, and are not given. Nor are
    pictures at a file's end of which the decoder says that it had to make up a part: the last one is half-written.
    """
    import av

    pts = packets.pts
    if len(pts) and numbers[0] >= len(pts):
        return
    counted = len(pts) - REORDERED if len(pts) and not packets.complete else packets.info.num_frames
    wanted = iter(numbers)
    number, count, last = next(wanted), 0, None
    try:
        for packet in _packets_from(path, packets, packets.start(numbers[0])):
            for frame in packet.decode():
                if packets.by_time and frame.pts is not None:
                    if last is not None and frame.pts < last:
                        raise Undecodable("pictures do not come in the order of their times")
                    last = frame.pts
                if not packets.by_time and number >= counted:
                    return
                if number == (_rank(pts, frame.pts) if packets.by_time else count):
                    if frame.is_corrupt and number >= packets.info.num_frames - REORDERED:
                        return
                    yield packets.orientation.apply(frame.to_ndarray(format="rgb24"))
                    number = next(wanted, -1)
                    if number < 0:
                        return
                count += 1
    except (av.error.FFmpegError, ValueError):
        return  # the caller counts what came


def _packets_from(path: Path, packets: Packets, start: int) -> Iterator[Any]:
    """Packets in decode order from place `start`, and the empty one that ends them.

    A seek is believed only where the first packet after it is known by its time and lies no later than the start;
    packets before the start are read and left out. At last the file is read from its beginning.
    """
    import av

    times = []
    if start and packets.container.startswith(SEEKABLE):
        times = list(dict.fromkeys([int(packets.order[start]), int(packets.dts[start])]))
    places = {int(time): place for place, time in enumerate(packets.order)} if start else {}
    for time in [*times, None]:
        with closing(open_video(path)) as container:
            track = container.streams[packets.track]
            if time is not None:
                try:
                    container.seek(time, stream=track)
                except av.error.FFmpegError:
                    continue
            begun = not start
            for packet in container.demux(track):
                if not begun:
                    place = places.get(packet.pts, start + 1)
                    if place > start:
                        break
                    begun = place == start
                if begun:
                    yield packet
            if begun:
                return


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
    images = [path for path in own_entries(folder) if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]
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
