"""Packed clips: memory-mapped Arrow IPC shards of JPEG or PNG frames, one record batch a clip."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pyarrow as pa

from pipeline.store.schema import INDEX, read_table

Encoding = Literal["jpeg", "png"]
FOLDERS = {"train": "train", "test": "eval"}  # split -> folder of its packed clips
HELD_CLIPS = 1 << 16  # whose place in the file is remembered, some kilobytes each


def shard_schema(encoding: Encoding) -> pa.Schema:
    """Columns of a shard: the clip's row in the index, the frame's place in the clip, the image's bytes."""
    return pa.schema([("clip", pa.int32()), ("frame", pa.int32()), (encoding, pa.binary())])


def encode_frame(frame: np.ndarray, encoding: Encoding, jpeg_quality: int) -> bytes:
    """Encode an (H, W, 3) uint8 RGB frame; PNG is lossless and ignores the quality."""
    options = [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality] if encoding == "jpeg" else []
    done, data = cv2.imencode(f".{encoding}", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise ValueError(f"cannot encode a frame of shape {frame.shape} as {encoding}")
    return data.tobytes()


def encode_png(frames_u8: np.ndarray) -> list[bytes]:
    """Encode (N, H, W, 3) uint8 RGB frames without loss; the streams carry no metadata: equal frames, equal bytes."""
    return [encode_frame(frame, "png", jpeg_quality=100) for frame in frames_u8]


def decode_frame(data: pa.Buffer | bytes) -> np.ndarray:
    """Decode an image's bytes into (H, W, 3) uint8 RGB, without copying the bytes."""
    frame = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    if frame is None:
        raise ValueError("an image of a clip cannot be decoded: the shard is damaged")
    return frame


class ClipWriter:
    """Appends clips to shards `shard-0000.arrow`, ... of a folder; use as a context manager.

    A shard is closed once it holds `shard_bytes`. Bytes depend on the clips and their order alone.
    """

    def __init__(self, folder: Path, encoding: Encoding, shard_bytes: int) -> None:
        self._folder, self._shard_bytes = Path(folder), shard_bytes
        self._schema = shard_schema(encoding)
        self._writer: pa.RecordBatchFileWriter | None = None
        self._shards = self._batches = self._held = 0
        self._folder.mkdir(parents=True, exist_ok=True)

    def add(self, clip: int, images: Sequence[bytes]) -> tuple[str, int]:
        """Append one clip's encoded frames; returns its shard's file name and its batch number there."""
        if self._writer is not None and self._held >= self._shard_bytes:
            self.close()
        if self._writer is None:
            self._shards += 1
            self._batches = self._held = 0
            self._writer = pa.ipc.new_file(str(self._folder / self._name), self._schema)
        columns = [
            pa.array([clip] * len(images), pa.int32()),
            pa.array(range(len(images)), pa.int32()),
            pa.array(images, pa.binary()),
        ]
        self._writer.write_batch(pa.record_batch(columns, schema=self._schema))
        self._held += sum(map(len, images))
        self._batches += 1
        return self._name, self._batches - 1

    @property
    def _name(self) -> str:
        return f"shard-{self._shards - 1:04d}.arrow"

    def close(self) -> None:
        """Finish the open shard."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def __enter__(self) -> "ClipWriter":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class ClipStore:
    """Reads packed clips by name; shards stay memory-mapped and images are decoded when asked for.

    Attributes:
        index: table of schema `INDEX`, one row a clip.

    Raises:
        FileNotFoundError: the folder has no index: the stage `crop` writes it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.index = read_table(self.folder / "index.parquet", INDEX)
        columns = [self.index[name].to_pylist() for name in ("clip", "shard", "batch", "num_frames")]
        self._place = {clip: (shard, batch) for clip, shard, batch, _ in zip(*columns, strict=True)}
        self._lengths = dict(zip(columns[0], columns[3], strict=True))
        self._readers: dict[str, pa.RecordBatchFileReader] = {}
        self._images: dict[str, pa.BinaryArray] = {}  # of clips that single frames were asked of
        self._reading = threading.Lock()  # Arrow does not promise that one reader serves several threads

    def clips(self) -> list[str]:
        """Names of all clips, in the index's order."""
        return list(self._place)

    def num_frames(self, clip: str) -> int:
        """Number of frames of a clip."""
        return self._lengths[clip]

    def place(self, clip: str) -> tuple[Path, int]:
        """Shard of a clip and its batch there, for `read_clip`."""
        shard, batch = self._place[clip]
        return self.folder / shard, batch

    def images(self, clip: str) -> pa.BinaryArray:
        """The encoded frames of a clip, as views of the mapped file; any thread may ask."""
        shard, batch = self._place[clip]
        with self._reading:
            if shard not in self._readers:
                self._readers[shard] = pa.ipc.open_file(pa.memory_map(str(self.folder / shard)))
            return self._readers[shard].get_batch(batch).column(2)

    def frame(self, clip: str, i: int) -> np.ndarray:
        """Decode frame i of a clip, (H, W, 3) uint8 RGB."""
        images = self._images.get(clip)
        if images is None:  # finding a clip takes half as long as decoding a frame does
            if len(self._images) >= HELD_CLIPS:
                self._images.clear()
            images = self._images[clip] = self.images(clip)
        return decode_frame(images[i].as_buffer())

    def frames(self, clip: str) -> np.ndarray:
        """Decode a whole clip, (T, H, W, 3) uint8 RGB."""
        return _decode_all(self.images(clip))


def read_clip(shard: Path, batch: int) -> np.ndarray:
    """Decode one clip without opening the index, (T, H, W, 3) uint8 RGB; see `ClipStore.place`."""
    with pa.memory_map(str(shard)) as file, pa.ipc.open_file(file) as reader:
        return _decode_all(reader.get_batch(batch).column(2))


def _decode_all(images: pa.BinaryArray) -> np.ndarray:
    return np.stack([decode_frame(image.as_buffer()) for image in images])


def from_video_ndc(crop_map: list[float], video_size_wh: tuple[int, int]) -> list[float]:
    """Row-major 2x3 map from the video frame's ndc to clip ndc; `crop_map` takes source-video px."""
    linear = np.array(crop_map).reshape(2, 3)
    half = np.array(video_size_wh) / 2
    return np.column_stack([linear[:, :2] * half, linear[:, :2] @ half + linear[:, 2]]).ravel().tolist()
