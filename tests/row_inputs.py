"""Clips of noise, labels of no meaning, and fits that place a small head in their middle: all that a row needs."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from model.heads.arrays import save_head
from model.heads.fit import HeadFit
from model.heads.head import HeadModel, load_head
from model.method.parts import PARTS
from pipeline.bench.pair_hash import pairs_sha256
from pipeline.store.clips import ClipWriter, encode_frame
from pipeline.store.fits import build_fits, fits_metadata
from pipeline.store.parts import write_parts
from pipeline.store.schema import INDEX, PAIRS, write_table
from pipeline.training.inputs import TrainInputs
from tests.helpers import ROOT, random_head

FRAMES, SIDE = 4, 64
PERSON, VIDEO = "anna", "v1"


def row_inputs(root: Path, turn: float = 0.0) -> TrainInputs:
    """Write a clip, its fits and the head below a folder; every frame's head is turned by `turn` more than the last."""
    save_head(root / "head.npz", random_head(seed=3))
    head = load_head(root / "head.npz")
    write_clips(root / "train", {"a": PERSON})
    write_fits(root / "fits.parquet", head, ["a"], turn)
    labels = np.random.default_rng(1).integers(0, len(PARTS), (FRAMES, SIDE, SIDE), np.uint8)
    write_parts(root / "parts.arrow", [("a", list(labels))], PARTS, "")
    files = {"clips": root / "train", "fits": root / "fits.parquet", "head": root / "head.npz"}
    return TrainInputs(**files, parts=root / "parts.arrow")


def project_data(data: Path, turn: float) -> HeadModel:
    """Write `clips`, `fits`, `heads` and `pairs.parquet` as stages do: one person to train on, two for testing."""
    save_head(data / "heads" / "bumpy_sphere.npz", random_head(seed=3))
    head = load_head(data / "heads" / "bumpy_sphere.npz")
    shutil.copyfile(ROOT / "pipeline" / "puppets" / "assets" / "puppet_face.npz", data / "heads" / "puppet_face.npz")
    for split, clips in {"train": {"a": PERSON}, "eval": {"b": "berta", "c": "clara"}}.items():
        write_clips(data / "clips" / split, clips)
        write_fits(data / "fits" / head.name / f"{split}.parquet", head, list(clips), turn)
    rows = [
        {"pair_id": f"noise.{task}.{i}", "dataset": "noise", "task": task, "source_clip": source, "source_frame": i,
         "driving_clip": driving, "driving_frame": (i + 1) % FRAMES, "source_person": source, "driving_person": driving}
        for task, source, driving in (("same", "b", "b"), ("same", "c", "c"), ("cross", "b", "c"), ("cross", "c", "b"))
        for i in range(FRAMES)
    ]  # fmt: skip
    rows = [row | {"pair_id": f"{row['pair_id']}.{number}"} for number, row in enumerate(rows)]
    table = pa.Table.from_pylist(rows, schema=PAIRS)
    write_table(data / "pairs.parquet", table, {"sha256": pairs_sha256(table)})
    return head


def write_clips(folder: Path, people: Mapping[str, str]) -> None:
    """Pack a clip of noise for each name, of the person behind it."""
    rng, rows = np.random.default_rng(0), []
    with ClipWriter(folder, "png", 1 << 20) as writer:
        for number, (clip, person) in enumerate(people.items()):
            images = rng.integers(40, 200, (FRAMES, SIDE, SIDE, 3), np.uint8)
            shard, batch = writer.add(number, [encode_frame(image, "png", 95) for image in images])
            row = dict.fromkeys(INDEX.names) | {"clip": clip, "num_frames": FRAMES, "shard": shard, "batch": batch}
            rows.append(row | {"dataset": "noise", "person": person, "video": f"{VIDEO}/u{number}"})
    facts = {"size_px": str(SIDE), "encoding": "png", "protocol": "none", "split": "none"}
    write_table(folder / "index.parquet", pa.Table.from_pylist(rows, schema=INDEX), facts)


def write_fits(path: Path, head: HeadModel, clips: Sequence[str], turn: float) -> None:
    """Write a table in which every frame of clips is fitted well."""
    count = FRAMES * len(clips)
    camera, pose = torch.zeros(count, head.num_camera), torch.zeros(count, head.num_pose)
    camera[:, 0] = 0.5 / head.template.abs().max()
    pose[:, 1] = turn * torch.arange(FRAMES).repeat(len(clips))
    shape, expression = torch.zeros(count, head.num_shape), torch.zeros(count, head.num_expression)
    table = build_fits(
        head,
        clip=np.repeat(clips, FRAMES).tolist(),
        frame=list(range(FRAMES)) * len(clips),
        status=["ok"] * count,
        score=np.ones(count),
        residual=np.zeros(count),
        fit=HeadFit(shape, expression, pose, camera, torch.tensor([1.0, 0, 0, 0, 1, 0]).repeat(count, 1)),
        crop_map=np.tile(np.float32([1, 0, 0, 0, 1, 0]), (count, 1)),
        landmarks=np.zeros((count, 136)),
    )
    write_table(path, table, fits_metadata(head, "puppet_tracker", ""))
