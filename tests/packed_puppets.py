"""A packed set as `benchmarks.device.pack` makes it, of drawn frames: no video is rendered or fitted for it."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from benchmarks.train_step import random_fits
from model.heads.head import load_head
from model.method.parts import PARTS
from pipeline.store.clips import FOLDERS, ClipWriter, encode_frame
from pipeline.store.fits import build_fits, fits_metadata
from pipeline.store.parts import write_parts
from pipeline.store.schema import INDEX, write_table
from tests.helpers import ROOT

FRAMES = 4
PEOPLE = {"train": 2, "test": 2}


def write_set(folder: Path, size_px: int) -> None:
    """Two people to train on and two to test on, a clip each."""
    (folder / "heads").mkdir(parents=True)
    heads, rng = [], np.random.default_rng(0)
    for name in ("puppet", "puppet_face"):
        path = folder / "heads" / f"{name}.npz"
        shutil.copyfile(ROOT / "pipeline" / "puppets" / "assets" / path.name, path)
        heads.append(load_head(path))
    for split, people in PEOPLE.items():
        clips = folder / "clips" / FOLDERS[split]
        rows, names = [], [f"{split}{number}#v#0#{FRAMES}" for number in range(people)]
        with ClipWriter(clips, "png", 1 << 20) as writer:
            for number, clip in enumerate(names):
                coarse = rng.integers(0, 256, (FRAMES, size_px // 8, size_px // 8, 3)).astype(np.uint8)
                frames = coarse.repeat(8, 1).repeat(8, 2)
                shard, batch = writer.add(number, [encode_frame(frame, "png", 0) for frame in frames])
                rows.append(
                    {"clip": clip, "dataset": "drawn", "split": split, "person": clip.partition("#")[0], "video": "v",
                     "start": 0, "end": FRAMES, "fps": 25.0, "num_frames": FRAMES, "source_width": 100,
                     "source_height": 100, "crop_map": [1, 0, 0, 0, 1, 0], "frame_index": list(range(FRAMES)),
                     "shard": shard, "batch": batch}
                )  # fmt: skip
        write_table(clips / "index.parquet", pa.Table.from_pylist(rows, schema=INDEX))
        count = people * FRAMES
        for head in heads:
            fits = build_fits(
                head, clip=[clip for clip in names for _ in range(FRAMES)], frame=list(range(FRAMES)) * people,
                status=["ok"] * count, score=np.ones(count), residual=np.zeros(count),
                fit=random_fits(head, count, torch.Generator().manual_seed(1)), crop_map=np.zeros((count, 6)),
                landmarks=np.zeros((count, 136)),
            )  # fmt: skip
            path = folder / "fits" / head.name / f"{FOLDERS[split]}.parquet"
            write_table(path, fits, fits_metadata(head, "drawn", ""))
        if split == "train":
            labels = rng.integers(0, len(PARTS), (FRAMES, size_px, size_px), np.uint8)
            write_parts(folder / "parts" / "train.arrow", [(clip, list(labels)) for clip in names], PARTS, "")
