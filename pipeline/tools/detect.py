"""Detect faces on every annotated frame of a VoxCeleb tree, for tubes that are cut as FOMM's tool cuts them."""

from pathlib import Path

import pyarrow as pa

from pipeline.console import say, track
from pipeline.params.data import SourceParams
from pipeline.sources.detections import DETECTIONS
from pipeline.sources.request import SourceError
from pipeline.sources.video_files import VideoFiles
from pipeline.sources.voxceleb_txt import UNITS
from pipeline.store.provenance import sha256_file
from pipeline.store.schema import read_table, write_table
from pipeline.tools.face_detector import open_s3fd
from pipeline.tools.utterance import Open, Utterance, detect_utterance, detection_store
from pipeline.work.dask_run import run
from pipeline.work.foreign_files import files_at_depth


def detect_all(
    source: SourceParams, root: Path, weights: Path, *, workers: int, timeout_s: float, open_detector: Open = open_s3fd
) -> int:
    """Write the table `source.detections` of the utterances whose videos are there; returns how many could be read.

    Utterances that were finished before are not looked at again. Those without a video are left out (crop's ledger
    counts them), and those that fail are said.

    Raises:
        SourceError: the source names no table, or there is no annotation.
    """
    if source.detections is None:
        raise SourceError(f"{source.name}: set its parameter `detections`, such as detections.parquet")
    folder, sha256 = root / source.folder, sha256_file(weights)
    scratch = detection_store(sha256)
    videos = VideoFiles(folder / source.videos)
    utterances = []
    for path in files_at_depth(folder / (source.annotations or ""), 2, [".txt"]):
        video, _ = videos.find(path.parts[-2], path.parts[-3])
        if video.exists():
            utterances.append(Utterance(path, video, UNITS[source.kind], weights, open_detector, scratch))
    if not utterances:
        raise SourceError(f"{source.name}: no annotation below {folder} has a video in {source.videos}")
    todo = [utterance for utterance in utterances if not utterance.file().exists()]
    outcomes = run(detect_utterance, todo, workers=workers, scheduler=None, timeout_s=timeout_s)
    for outcome in track(outcomes, "detect", len(todo)):
        if error := outcome.value or outcome.error:
            say(f"detect: {'/'.join(todo[outcome.index].key)}: {error}")
    made = [read_table(utterance.file()) for utterance in utterances if utterance.file().exists()]
    table = pa.concat_tables(made).replace_schema_metadata(None) if made else DETECTIONS.empty_table()
    write_table(folder / source.detections, table, {"weights_sha256": sha256, "detector": "s3fd"})
    return len(made)
