"""One clip of coloured noise and fits that place a small head in its middle: all that a row is trained from."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from model.heads.arrays import save_head
from model.heads.fit import HeadFit
from model.heads.head import load_head
from pipeline.store.clips import ClipWriter, encode_frame
from pipeline.store.fits import build_fits, fits_metadata
from pipeline.store.schema import INDEX, write_table
from pipeline.training.run import TrainInputs
from tests.helpers import random_head

FRAMES, SIDE = 4, 64
PERSON, VIDEO = "anna", "v1"


def row_inputs(root: Path, turn: float = 0.0) -> TrainInputs:
    """Write clip, fits and head below a folder; every frame's head is turned by `turn` radians more than the last."""
    save_head(root / "head.npz", random_head(seed=3))
    head = load_head(root / "head.npz")
    images = np.random.default_rng(0).integers(40, 200, (FRAMES, SIDE, SIDE, 3), np.uint8)
    with ClipWriter(root / "train", "png", 1 << 20) as writer:
        shard, batch = writer.add(0, [encode_frame(image, "png", 95) for image in images])
    row = dict.fromkeys(INDEX.names) | {"clip": "a", "num_frames": FRAMES, "shard": shard, "batch": batch}
    row |= {"dataset": "noise", "person": PERSON, "video": f"{VIDEO}/u1"}
    facts = {"size_px": str(SIDE), "encoding": "png", "protocol": "none", "split": "none"}
    write_table(root / "train" / "index.parquet", pa.Table.from_pylist([row], schema=INDEX), facts)
    camera = torch.zeros(FRAMES, head.num_camera)
    camera[:, 0] = 0.5 / head.template.abs().max()
    pose = torch.zeros(FRAMES, head.num_pose)
    pose[:, 1] = turn * torch.arange(FRAMES)
    shape, expression = torch.zeros(FRAMES, head.num_shape), torch.zeros(FRAMES, head.num_expression)
    to_frame = torch.tensor([1.0, 0, 0, 0, 1, 0]).repeat(FRAMES, 1)
    table = build_fits(
        head,
        clip=["a"] * FRAMES,
        frame=range(FRAMES),
        status=["ok"] * FRAMES,
        score=np.ones(FRAMES),
        residual=np.zeros(FRAMES),
        fit=HeadFit(shape, expression, pose, camera, to_frame),
        crop_map=np.tile(np.float32([1, 0, 0, 0, 1, 0]), (FRAMES, 1)),
        landmarks=np.zeros((FRAMES, 136)),
    )
    write_table(root / "fits.parquet", table, fits_metadata(head, "puppet_tracker", ""))
    return TrainInputs(clips=root / "train", fits=root / "fits.parquet", head=root / "head.npz")
