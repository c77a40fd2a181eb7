"""Footage to measure with: a textured scene that moves, bends and carries noise, as hard for codecs as real video.

At 256x256 px a frame takes 17 kB as JPEG, 88 kB as PNG and, in files of 60 frames, 0.5 kB as H.264 (`write_mp4`).
FOMM's crops of eight real talking-head videos take 16, 85 and 0.5 kB in the median.
"""

from pathlib import Path

import av
import cv2
import numpy as np

BEND_PX, BEND_WAVE_PX, BEND_SPEED = 1.5, 90.0, 0.3  # amplitude, wavelength, radians a frame


def moving_frames(count: int, size_hw: tuple[int, int], seed: int) -> list[np.ndarray]:
    """Frames (H, W, 3) uint8 of a smooth random texture that drifts and bends, with a little sensor noise."""
    rng = np.random.default_rng(seed)
    height, width = size_hw
    margin = 2 * count
    texture = np.zeros((height + margin, width + margin, 3), np.float32)
    for cells, weight in ((6, 110.0), (24, 60.0), (96, 25.0)):
        grid = rng.random((cells, cells, 3), np.float32) - 0.5
        texture += weight * cv2.resize(grid, (width + margin, height + margin), interpolation=cv2.INTER_CUBIC)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    noise = rng.normal(0.0, 1.5, (height + 16, width + 16, 1)).astype(np.float32)
    frames = []
    for number in range(count):
        top, left = rng.integers(0, 16, 2)
        bend_x = BEND_PX * np.sin(rows * (2 * np.pi / BEND_WAVE_PX) + number * BEND_SPEED)
        bend_y = BEND_PX * np.sin(columns * (2 * np.pi / BEND_WAVE_PX) + number * BEND_SPEED)
        part = cv2.remap(texture, columns + 2 * number + bend_x, rows + number + bend_y, cv2.INTER_LINEAR)
        frames.append(np.clip(part + noise[top : top + height, left : left + width] + 128, 0, 255).astype(np.uint8))
    return frames


def write_mp4(path: Path, frames: list[np.ndarray], key_every: int, fps: int = 25) -> None:
    """Encode frames as H.264 with a key frame every so many."""
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"crf": "20", "preset": "veryfast", "g": str(key_every), "keyint_min": str(key_every)}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options=options)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
