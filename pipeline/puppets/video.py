"""One puppet video with its labels, boxes and truth, rendered into a folder that appears when all are complete."""

from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from model.atomic import written_aside
from model.heads.head import HeadModel, load_head
from pipeline.params.puppets import PuppetParams
from pipeline.puppets.appearance import PARTS
from pipeline.puppets.clip import ClipPlan, film_clip, make_clip
from pipeline.puppets.scene import Studio
from pipeline.puppets.truth import clip_truth
from pipeline.store.closure import code_sha256
from pipeline.store.provenance import sha256_file, sha256_text
from pipeline.store.schema import write_table
from pipeline.store.scratch_root import scratch_dir

HEADS = Path(__file__).parent / "assets"
LABELS = pa.schema([("frame", pa.int32()), ("png", pa.binary())])
# x264's macroblock tree and its sums of differences end in other last digits with every set of vector instructions,
# and even between runs under AVX-512; so told, it keeps to code that gives the same bits everywhere.
X264 = "cpu-independent=1"
TRUTH_HEADS = ("puppet", "puppet_face")


def video_store() -> Path:
    """Scratch folder of finished videos, one folder each, keyed by heads and code."""
    heads = [sha256_file(HEADS / f"{head}.npz") for head in TRUTH_HEADS]
    return scratch_dir("videos", sha256_text(code_sha256("pipeline.puppets.video"), *heads))


def video_name(params: PuppetParams, plan: ClipPlan) -> str:
    """Name of a finished video in its store: it changes with all that the video is told."""
    settings = (params.crf, params.preset, params.texture_size, params.face_share, params.face_follow)
    return plan.video + "-" + sha256_text(asdict(plan), settings)[:16]


@cache
def puppet_head(name: str) -> HeadModel:
    """One of the shipped heads, loaded once a process."""
    return load_head(HEADS / f"{name}.npz")


@cache
def _studio(texture_size: int) -> Studio:
    import cv2
    import torch

    torch.set_num_threads(1)  # processes are the parallelism here
    cv2.setNumThreads(1)
    return Studio(puppet_head("puppet"), texture_size)


def _png(label: np.ndarray) -> bytes:
    """Pack part labels (H, W): they are flat areas, which a filter would only spoil and runs describe best."""
    import cv2

    flags = {
        cv2.IMWRITE_PNG_COMPRESSION: 1,
        cv2.IMWRITE_PNG_STRATEGY: cv2.IMWRITE_PNG_STRATEGY_RLE,
        cv2.IMWRITE_PNG_FILTER: cv2.IMWRITE_PNG_FILTER_NONE,
    }
    return cv2.imencode(".png", label, [value for flag in flags.items() for value in flag])[1].tobytes()


def render_video(params: PuppetParams, plan: ClipPlan, piece: Path) -> None:
    """Render one video into the folder `piece`, with its labels, boxes and truth; it appears when all are complete."""
    with written_aside(piece) as folder:
        folder.mkdir()
        _render_into(folder, params, plan)


def _render_into(folder: Path, params: PuppetParams, plan: ClipPlan) -> None:
    studio = _studio(params.texture_size)
    clip = make_clip(plan, studio, params)
    pngs = []
    with VideoWriter(folder / "video.mp4", plan.size_hw, plan.fps, params.crf, params.preset) as video:
        for picture in film_clip(clip, studio):
            video.write(picture.image)
            pngs.append(_png(picture.label))
    table = pa.table({"frame": pa.array(range(len(pngs)), pa.int32()), "png": pa.array(pngs, pa.binary())}, LABELS)
    metadata = {"parts": ",".join(PARTS), "foreground": "label > 0", "video": plan.video}
    with (
        pa.OSFile(str(folder / "labels.arrow"), "wb") as sink,
        pa.ipc.new_file(sink, LABELS.with_metadata(metadata)) as writer,
    ):
        writer.write_table(table)
    np.save(folder / "boxes.npy", clip.boxes)
    for head, truth in clip_truth(clip, *(puppet_head(name) for name in TRUTH_HEADS)).items():
        write_table(folder / f"{head}.parquet", truth)


class VideoWriter:
    """An mp4 file of H.264 frames whose bytes depend on the frames and settings alone, not on the processor.

    Args:
        path: file to write.
        size_hw: height and width, even numbers.
        fps: frames per second.
        crf: constant rate factor.
        preset: x264's preset.
        x264: further parameters of x264, `name=value:name=value`.
    """

    def __init__(self, path: Path, size_hw: tuple[int, int], fps: int, crf: int, preset: str, x264: str = X264) -> None:
        import av

        self._container = av.open(str(path), "w", format="mp4", container_options={"fflags": "+bitexact"})
        options = {"crf": str(crf), "preset": preset, "x264-params": x264}
        self._stream = self._container.add_stream("libx264", rate=fps, options=options)
        self._stream.height, self._stream.width = size_hw
        self._stream.pix_fmt = "yuv420p"
        self._stream.thread_count = 1

    def __enter__(self) -> "VideoWriter":
        return self

    def write(self, image: np.ndarray) -> None:
        """Append a frame (H, W, 3) uint8 RGB."""
        import av

        for packet in self._stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")):
            self._container.mux(packet)

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            for packet in self._stream.encode():
                self._container.mux(packet)
        self._container.close()
