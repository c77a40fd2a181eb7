"""A corpus of puppet videos in VoxCeleb's layout, with its truth.

    <out>/videos/<video>.mp4                 untrimmed sources, H.264
    <out>/txt/<person>/<video>/00001.txt     annotations, VoxCeleb1's or VoxCeleb2's
    <out>/people.parquet                     person, video, split, seed
    <out>/truth/puppet.parquet               true codes of every frame (`pipeline.puppets.truth`)
    <out>/truth/puppet_face.parquet
    <out>/labels/<video>.arrow               one PNG of part labels a frame; foreground is label > 0

Finished videos wait in a scratch folder under a fingerprint of all that they depend on, one atomic rename each, so a
killed run continues and a changed corpus renders only what changed. Bytes depend on the parameters alone.
"""

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from functools import cache
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.context import BaseContext
from pathlib import Path

import numpy as np
import pyarrow as pa

from model.heads.head import HeadModel, load_head
from pipeline.console import say, track
from pipeline.params.puppets import CorpusParams, PuppetParams
from pipeline.puppets.annotations import annotation_text
from pipeline.puppets.appearance import PARTS
from pipeline.puppets.clip import ANNOTATION_FPS, ClipPlan, film_clip, make_clip, plan_corpus
from pipeline.puppets.scene import Studio
from pipeline.puppets.truth import clip_truth, write_truth
from pipeline.store.provenance import scratch_dir, sha256_file, sha256_sources, sha256_text, write_text
from pipeline.store.schema import read_table, write_table

HEADS = Path(__file__).parent / "assets"
PEOPLE = pa.schema([("person", pa.string()), ("video", pa.string()), ("split", pa.string()), ("seed", pa.int64())])
LABELS = pa.schema([("frame", pa.int32()), ("png", pa.binary())])
# x264's macroblock tree and its sums of differences end in other last digits with every set of vector instructions,
# and even between runs under AVX-512; so told, it keeps to code that gives the same bits everywhere.
X264 = "cpu-independent=1"
TRUTH_HEADS = ("puppet", "puppet_face")
_SOURCES = (
    "appearance", "backdrop", "clip", "face_codes", "face_head", "face_region", "fields", "framing", "hair", "light",
    "motion", "normals", "outfit", "people", "render", "scene", "shadows", "truth",
)  # fmt: skip


def write_corpus(params: PuppetParams, name: str, out: Path, workers: int) -> None:
    """Render a corpus.

    Args:
        params: section `puppets`.
        name: key of `params.corpora`.
        out: folder to fill; what was in it is replaced.
        workers: processes; 0 renders in this one.

    Raises:
        ValueError: there is no such corpus.
    """
    if name not in params.corpora:
        raise ValueError(f"there is no corpus {name!r}; puppets.corpora has {', '.join(params.corpora)}")
    corpus = params.corpora[name]
    plans = plan_corpus(params, corpus)
    heads = [sha256_file(HEADS / f"{head}.npz") for head in TRUTH_HEADS]
    store = scratch_dir("videos", sha256_text(sha256_sources(_source_files()), *heads))
    pieces = {plan.video: store / _fingerprint(params, plan) for plan in plans}
    wanted = [plan for plan in plans if not pieces[plan.video].exists()]
    if len(wanted) < len(plans):
        say(f"videos of {name}: {len(plans) - len(wanted)} of {len(plans)} are there already")
    jobs = [(params, plan, pieces[plan.video]) for plan in wanted]
    for _ in track(_rendered(jobs, workers), f"videos of {name}", len(jobs)):
        pass
    _publish(params, corpus, plans, pieces, Path(out))


def _source_files() -> list[Path]:
    return [Path(__file__).parent / f"{name}.py" for name in _SOURCES]


def _fingerprint(params: PuppetParams, plan: ClipPlan) -> str:
    settings = (params.crf, params.preset, params.texture_size, params.face_share, params.face_follow)
    return plan.video + "-" + sha256_text(asdict(plan), settings)[:16]


def _rendered(jobs: list[tuple[PuppetParams, ClipPlan, Path]], workers: int) -> Iterator[None]:
    """Yield once for every finished video."""
    if workers == 0 or len(jobs) < 2:
        for job in jobs:
            render_video(*job)
            yield
        return
    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=_processes()) as pool:
        try:
            for done in as_completed([pool.submit(render_video, *job) for job in jobs]):
                yield done.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _processes() -> BaseContext:
    """How workers start: copies of one process that imported everything once, or fresh ones where it cannot be done."""
    if "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


@cache
def _head(name: str) -> HeadModel:
    return load_head(HEADS / f"{name}.npz")


@cache
def _studio(texture_size: int) -> Studio:
    import cv2
    import torch

    torch.set_num_threads(1)  # processes are the parallelism here
    cv2.setNumThreads(1)
    return Studio(_head("puppet"), texture_size)


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
    studio = _studio(params.texture_size)
    clip = make_clip(plan, studio, params)
    partial = piece.with_name(f"{piece.name}.partial-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    pngs = []
    with VideoWriter(partial / "video.mp4", plan.size_hw, plan.fps, params.crf, params.preset) as video:
        for picture in film_clip(clip, studio):
            video.write(picture.image)
            pngs.append(_png(picture.label))
    table = pa.table({"frame": pa.array(range(len(pngs)), pa.int32()), "png": pa.array(pngs, pa.binary())}, LABELS)
    metadata = {"parts": ",".join(PARTS), "foreground": "label > 0", "video": plan.video}
    with (
        pa.OSFile(str(partial / "labels.arrow"), "wb") as sink,
        pa.ipc.new_file(sink, LABELS.with_metadata(metadata)) as writer,
    ):
        writer.write_table(table)
    np.save(partial / "boxes.npy", clip.boxes)
    for head, truth in clip_truth(clip, *(_head(name) for name in TRUTH_HEADS)).items():
        write_table(partial / f"{head}.parquet", truth)
    os.replace(partial, piece)


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


def _publish(
    params: PuppetParams, corpus: CorpusParams, plans: list[ClipPlan], pieces: dict[str, Path], out: Path
) -> None:
    """Lay finished videos out as a corpus, with annotations and truth."""
    shutil.rmtree(out, ignore_errors=True)
    for folder in ("videos", "labels", "truth", "txt"):
        (out / folder).mkdir(parents=True)
    frames = np.arange(params.frames)
    for plan in plans:
        piece = pieces[plan.video]
        shutil.copyfile(piece / "video.mp4", out / "videos" / f"{plan.video}.mp4")
        shutil.copyfile(piece / "labels.arrow", out / "labels" / f"{plan.video}.arrow")
        shown = np.round(frames * plan.fps / ANNOTATION_FPS).astype(int).clip(max=plan.frames - 1)
        boxes = np.load(piece / "boxes.npy")[shown]
        text = annotation_text(corpus.annotation, plan.person_id, plan.video, frames, boxes, plan.size_hw)
        write_text(out / "txt" / plan.person_id / plan.video / "00001.txt", text)
    for head in TRUTH_HEADS:
        tables = [read_table(pieces[plan.video] / f"{head}.parquet") for plan in plans]
        write_truth(out / "truth" / f"{head}.parquet", tables, _head(head))
    columns = {"person": "person_id", "video": "video", "split": "split", "seed": "seed"}
    rows = {column: [getattr(plan, field) for plan in plans] for column, field in columns.items()}
    write_table(out / "people.parquet", pa.table(rows, schema=PEOPLE))
