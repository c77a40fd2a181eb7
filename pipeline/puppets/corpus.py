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

import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.context import BaseContext
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.console import say, track
from pipeline.params.puppets import CorpusParams, PuppetParams
from pipeline.puppets.annotations import annotation_text
from pipeline.puppets.clip import ANNOTATION_FPS, ClipPlan, plan_corpus
from pipeline.puppets.truth import write_truth
from pipeline.puppets.video import TRUTH_HEADS, puppet_head, render_video, video_name, video_store
from pipeline.store.provenance import write_text
from pipeline.store.schema import read_table, write_table

PEOPLE = pa.schema([("person", pa.string()), ("video", pa.string()), ("split", pa.string()), ("seed", pa.int64())])


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
    store = video_store()
    pieces = {plan.video: store / video_name(params, plan) for plan in plans}
    wanted = [plan for plan in plans if not pieces[plan.video].exists()]
    if len(wanted) < len(plans):
        say(f"videos of {name}: {len(plans) - len(wanted)} of {len(plans)} are there already")
    jobs = [(params, plan, pieces[plan.video]) for plan in wanted]
    for _ in track(_rendered(jobs, workers), f"videos of {name}", len(jobs)):
        pass
    _publish(params, corpus, plans, pieces, Path(out))


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
        write_truth(out / "truth" / f"{head}.parquet", tables, puppet_head(head))
    columns = {"person": "person_id", "video": "video", "split": "split", "seed": "seed"}
    rows = {column: [getattr(plan, field) for plan in plans] for column, field in columns.items()}
    write_table(out / "people.parquet", pa.table(rows, schema=PEOPLE))
