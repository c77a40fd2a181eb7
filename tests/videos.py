"""Small videos and packed clips for tests."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import av
import numpy as np

from pipeline.params.data import CropParams, DataParams, SourceParams, TubeParams

TUBE = TubeParams(
    iou_with_first=0.25, min_frames=8, max_frames=1024, min_size_px=40, increase=0.1, enlarge="square",
    outside="reject", pixels="stored",
)  # fmt: skip
CROP = CropParams(
    size_px=32,
    resize="triangle_antialias",
    jpeg_quality=95,
    shard_mb=64,
    tube=TUBE,
    max_fail_rate=0.0,
    max_missing_rate=0.0,
)
SIZE_HW = (96, 160)
PREAMBLE = [
    "Identity  : \tid1",
    "Reference : \tv1",
    "Offset    : \t0",
    "FV Conf   : \t20.000\t(1)",
    "ASD Conf  : \t5.0",
    "",
]


def frame_image(number: int, size_hw: tuple[int, int] = SIZE_HW) -> np.ndarray:
    """A frame with its number as eight black or white stripes along the top, and x, y in red and green."""
    height, width = size_hw
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([columns * 255 // (width - 1), rows * 255 // (height - 1), np.full_like(rows, 128)], -1)
    for bit in range(8):
        image[:24, bit * width // 8 : (bit + 1) * width // 8] = 255 * (number >> bit & 1)
    return image.astype(np.uint8)


def frame_number(frame: np.ndarray) -> int:
    """Read the number back from a whole decoded frame."""
    width = frame.shape[1]
    return sum((frame[4:20, (2 * bit + 1) * width // 16].mean() > 127) << bit for bit in range(8))


def write_video(
    path: Path, num_frames: int, *, fps: int = 25, size_hw: tuple[int, int] = SIZE_HW, faststart: bool = False
) -> Path:
    """Write an H.264 mp4 of numbered frames, a key frame every 12."""
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"movflags": "faststart"} if faststart else {}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "12", "g": "12", "preset": "ultrafast"})
        stream.height, stream.width = size_hw
        stream.pix_fmt = "yuv420p"
        for number in range(num_frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame_image(number, size_hw), format="rgb24")))
        container.mux(stream.encode())
    return path


def write_frames(path: Path, frames: Iterable[np.ndarray], times: Sequence[int] | None = None) -> Path:
    """Write frames (H, W, 3) as an H.264 mp4 or mkv without loss of place; `times` are in 25ths of a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = None
        for number, image in enumerate(frames):
            if stream is None:
                options = {"crf": "8", "preset": "ultrafast", "bf": "0"}
                stream = container.add_stream("libx264", rate=25, options=options)
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt = "yuv444p"
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts = number if times is None else times[number]
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_track(path: Path, boxes: list[tuple], first_frame: int = 0) -> Path:
    """Write a VoxCeleb annotation: rows of X Y W H."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"{first_frame + i:06d} \t" + " \t".join(map(str, box)) + " " for i, box in enumerate(boxes)]
    path.write_text("\n".join([*PREAMBLE, "FRAME \tX \tY \tW \tH ", *rows]) + "\n")
    return path


def voxceleb1(name: str = "VoxCeleb1", folder: str = "vox1", split: str = "test") -> SourceParams:
    return SourceParams(
        name=name, kind="voxceleb1", folder=folder, watch=folder, annotations="txt", videos="videos", split=split
    )


def released(name: str = "VoxCeleb2", folder: str = "vox2") -> SourceParams:
    return SourceParams(
        name=name, kind="vox2_release", folder=folder, watch=folder, annotations=None, videos="mp4", split="test"
    )


def data_params(root: Path, first: SourceParams, second: SourceParams | None) -> DataParams:
    watched = (second or first).watch
    return DataParams(root=str(root), heads="heads", first=first, second=second, watch_second=watched)
