"""What a worker does with one video: its frames are decoded and looked at, and the person's rows go to scratch."""

from dataclasses import dataclass
from pathlib import Path

import torch

from pipeline.instruments.mesh_reader import open_mesh
from pipeline.landmarks.follow import FaceFollower
from pipeline.landmarks.person import OK, Point, choose_person
from pipeline.params.data import FaceParams
from pipeline.sources.people_folder import PersonVideo
from pipeline.store.closure import code_sha256
from pipeline.store.compute.threads import one_thread
from pipeline.store.provenance import sha256_text
from pipeline.store.schema import write_table
from pipeline.video.decode import VideoInfo, decode, fingerprint
from pipeline.work.ledger import ClipError
from pipeline.work.scratch import piece_path, written_at_once

CPU = torch.device("cpu")  # a video is read frame by frame: nothing to batch


@dataclass(frozen=True)
class VideoTask:
    """A video, and everything that decides on its rows.

    Attributes:
        told: see `choose_person`.
        instrument: fingerprint of the reader; a worker's must be the same.
        scratch: where finished rows lie.
    """

    video: PersonVideo
    params: FaceParams
    told: Point | None
    instrument: str
    scratch: Path
    use_decord: bool = True  # False after decord took a worker down on this video

    def file(self) -> Path:
        """Where the finished rows lie."""
        settings = (self.params.model_dump(), self.told, self.instrument, code_sha256("pipeline.landmarks.video"))
        name = sha256_text(fingerprint(self.video.path), self.video.person, settings)[:32]
        return piece_path(self.scratch, self.video.person, self.video.video, name, ".parquet")


def find_person(task: VideoTask) -> tuple[str, str]:
    """Find the person in one video and keep the rows; returns the ledger's reason and detail."""
    reader = open_mesh(CPU)
    if reader.fingerprint != task.instrument:
        raise RuntimeError("this worker reads other files than the stage: the networks of `mesh`, its runner or code")
    with one_thread():
        try:
            follower, frames = _follow(task, FaceFollower(reader, task.params), task.use_decord)
            if follower.num_frames != len(frames):  # one decoder began before another did it: what it saw is forgotten
                _, frames = _follow(task, FaceFollower(reader, task.params), use_decord=False)
        except ClipError as error:
            return error.reason, error.message
    rows = choose_person(frames, task.params.same_size, task.told)
    if OK not in rows.status:
        return "no_face", f"{task.video.path}: no face in any of {len(frames)} frames"
    with written_at_once(task.file()) as partial:
        write_table(partial, rows.table(task.video.person, task.video.video))
    return "ok", ""


def _follow(task: VideoTask, follower: FaceFollower, use_decord: bool):
    def plan(info: VideoInfo):
        return list(range(info.num_frames)), follower

    return follower, decode(task.video.path, plan, use_decord=use_decord).frames
