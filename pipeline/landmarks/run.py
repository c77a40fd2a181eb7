"""Find the person in every video of the folders that say nothing about faces, and account for every video."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from pipeline.console import say, track
from pipeline.instruments.mesh_reader import open_mesh
from pipeline.landmarks.person import Point
from pipeline.landmarks.video import CPU, VideoTask, find_person
from pipeline.params.data import FACES_SOUGHT, DataParams, FaceParams, SourceParams
from pipeline.sources.forgotten import ForgottenList
from pipeline.sources.people_folder import FACES, PersonVideo, find_videos, read_csv
from pipeline.sources.request import SourceError
from pipeline.store.landmark_table import FOUND, FOUND_LANDMARKS, FOUND_LEDGER
from pipeline.store.provenance import write_json
from pipeline.store.schema import TableWriter, read_table, write_table
from pipeline.store.scratch_root import scratch_dir
from pipeline.work.dask_run import Outcome, run
from pipeline.work.ledger import FORGOTTEN, LedgerRow, summary, to_table
from pipeline.work.scratch import recall_failure, remember_failure, sweep

SOURCES = "sources.json"  # says of every data set whether faces were looked for
_SHOWN = 3


@dataclass(frozen=True)
class LandmarkWork:
    """How the work is done, which changes no result; see `pipeline.work.dask_run.run`."""

    workers: int
    scheduler: str | None
    video_timeout_s: float
    retry_failed: bool


def find_landmarks(data: DataParams, out: Path, forgotten: ForgottenList, work: LandmarkWork) -> None:
    """Write `out`/<data set>/landmarks.parquet and ledger.parquet of each data set of kind `people_folder`.

    Videos that are finished in scratch are not looked at again: a stage that was killed goes on where it stopped.
    Of other kinds nothing is done: their landmarks, if any, were given. `out`/sources.json says which is which.

    Raises:
        SourceError: a folder is missing or holds no video, or its faces.csv cannot be read.
        AssetMissing: there are videos to look at, and a network has not been imported.
        ClusterError: the cluster cannot do the work; finished videos are kept.
    """
    for source in data.sources().values():
        if source.kind == FACES_SOUGHT and source.faces is not None:
            _find(source, source.faces, data.root_folder() / source.folder, out / source.name, forgotten, work)
    said = {name.name: "sought" if name.kind == FACES_SOUGHT else "given" for name in data.sources().values()}
    write_json(out / SOURCES, said)


def _find(
    source: SourceParams, params: FaceParams, folder: Path, out: Path, forgotten: ForgottenList, work: LandmarkWork
) -> None:
    videos = _videos(source, folder)
    told = _told(source, folder, videos)
    looked_at = [v for v in videos if not v.fault and not forgotten.covers(v.person, v.video)]
    instrument = open_mesh(CPU).fingerprint if looked_at else ""
    scratch = scratch_dir("landmarks", "videos")
    sweep(scratch)
    tasks = {v: VideoTask(v, params, told.get((v.person, v.video)), instrument, scratch) for v in looked_at}
    _look(list(tasks.values()), source.name, work)
    rows = []
    with TableWriter(out / FOUND_LANDMARKS, FOUND) as writer:
        for video in videos:
            reason, detail = ("bad_name", video.fault) if video.fault else (FORGOTTEN, "")
            if task := tasks.get(video):
                reason, detail = recall_failure(task.file()) or ("ok", "")
                if task.file().exists():
                    table = read_table(task.file()).replace_schema_metadata(None)
                    reason, detail = "ok", _account(table)
                    writer.add(table)
            clip = f"{video.person}#{video.video}"
            rows.append(LedgerRow(source.name, "all", clip, video.person, video.video, reason, detail))
    write_table(out / FOUND_LEDGER, to_table(rows))
    for line in summary([row if row.reason != "ok" else replace(row, detail="") for row in rows]):
        say(f"landmarks: {line}")


def _look(tasks: list[VideoTask], name: str, work: LandmarkWork) -> None:
    """Look at what is not in scratch; what fails leaves its reason there."""
    unfinished = [task for task in tasks if not task.file().exists()]
    todo = [task for task in unfinished if work.retry_failed or recall_failure(task.file()) is None]
    say(f"landmarks: {name}: {len(tasks)} videos, {len(tasks) - len(unfinished)} finished before")
    if left := len(unfinished) - len(todo):
        say(f"landmarks: {name}: {left} failed before and are left as they are (--retry failed tries them again)")
    for task, reason, detail in track(_outcomes(todo, work), f"landmarks {name}", len(todo)):
        if reason != "ok":
            remember_failure(task.file(), reason, detail)


def _outcomes(tasks: list[VideoTask], work: LandmarkWork) -> Iterator[tuple[VideoTask, str, str]]:
    """Each task once, with reason and detail; where decord took the worker down, what comes of it without decord."""

    def looked(todo: list[VideoTask]) -> Iterator[Outcome[tuple[str, str]]]:
        return run(find_person, todo, workers=work.workers, scheduler=work.scheduler, timeout_s=work.video_timeout_s)

    died = []
    for outcome in looked(tasks):
        if outcome.reason == "worker_died":
            died.append(replace(tasks[outcome.index], use_decord=False))
        else:
            yield tasks[outcome.index], *(outcome.value or (outcome.reason, outcome.error))
    for outcome in looked(died):
        yield died[outcome.index], *(outcome.value or (outcome.reason, outcome.error))


def _account(table: pa.Table) -> str:
    counts = Counter(table["status"].to_pylist())
    return ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))


def _videos(source: SourceParams, folder: Path) -> list[PersonVideo]:
    """The videos of a people's folder; what else lies there is said in one line."""
    place = folder / source.videos
    if not place.is_dir():
        raise SourceError(f"{source.name}: there is no folder {place}: set data.root (`-S data.root=/your/folder`)")
    videos, others = find_videos(place)
    if others:
        names = ", ".join(str(path.relative_to(place)) for path in others[:_SHOWN])
        say(f"landmarks: {source.name}: {len(others)} files or folders are no videos and left aside, such as {names}")
    if not videos:
        raise SourceError(
            f"{source.name}: {place} holds no videos: expected <person>/<any name>.mp4, or one video a person in it"
        )
    return videos


def _told(source: SourceParams, folder: Path, videos: list[PersonVideo]) -> dict[tuple[str, str], Point]:
    """Read faces.csv where there is one: where in a video the person's face is, in shares of the frame's sides."""
    path = folder / FACES
    if not path.is_file():
        return {}
    known, told = {(video.person, video.video) for video in videos}, {}
    for line, row in enumerate(read_csv(source.name, path, ("person", "video", "x", "y")), 2):
        try:
            point = float(row["x"]), float(row["y"])
        except ValueError:
            point = -1.0, -1.0
        if not all(0 <= value <= 1 for value in point):
            raise SourceError(f"{source.name}: {path}:{line}: x and y are shares of the frame's sides, 0 to 1")
        key = row["person"], row["video"]
        if key not in known:
            raise SourceError(f"{source.name}: {path}:{line}: there is no video {'/'.join(key)}")
        told[key] = point
    return told
