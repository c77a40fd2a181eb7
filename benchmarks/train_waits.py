"""How long a step waits for its images: clips of noise, packed as training has them, are decoded while it trains."""

import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from benchmarks.train_step import Course, random_fits
from model.heads.head import HeadModel
from model.method.network import Batch
from pipeline.adapters.pwm.adapter import PwmAdapter
from pipeline.params.recipe import Recipe
from pipeline.store.clips import ClipWriter, encode_frame
from pipeline.store.fits import build_fits, fits_metadata
from pipeline.store.schema import INDEX, write_table
from pipeline.training.augment import recolour, recrop
from pipeline.training.dataset import PairDataset
from pipeline.training.loader import batches_ahead
from pipeline.training.underway import TimedBatches

CLIPS, FRAMES = 4, 16
STEPS, WARM_UP = 60, 10


def data_wait(course: Course, head: HeadModel, recipe: Recipe, step_ms: float) -> float:
    """Share of the time that training waits for batches, in [0, 1]; frames are decoded anew each time."""
    steps = max(WARM_UP + 2, min(STEPS, int(2e4 / step_ms)))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _pack(root, head, recipe.image_px)
        data = PairDataset(root / "clips", root / "fits.parquet", head, cache_bytes=0)
        adapter = PwmAdapter(course.lesson.network, head)

        def drawn(step: int) -> Batch:
            change = recipe.augment
            pairs = data.batch(step, recipe.seed, recipe.batch_size)
            pairs = recrop(pairs, change.shift_ndc, change.log_scale, recipe.seed, step)
            pairs = recolour(pairs, change.colour, recipe.seed, step)
            driven = adapter.drive(*pairs.views(), torch.ones(len(pairs.source), dtype=torch.bool))
            return Batch(driven.source, pairs.driving, driven.signals)

        with batches_ahead(drawn, steps, course.device) as ready, course.arithmetic():
            batch_at, began = TimedBatches(ready), 0.0
            for step in range(steps):
                if step == WARM_UP:
                    batch_at.waited_s, began = 0.0, time.perf_counter()
                course.step(batch_at(step))
            course.look()  # waits for the device
            return batch_at.waited_s / (time.perf_counter() - began)


def _pack(root: Path, head: HeadModel, image_px: int) -> None:
    rng, rows, names = np.random.default_rng(0), [], []
    with ClipWriter(root / "clips", "jpeg", 1 << 28) as writer:
        for number in range(CLIPS):
            coarse = rng.integers(0, 256, (FRAMES, image_px // 8, image_px // 8, 3)).astype(np.uint8)
            frames = coarse.repeat(8, 1).repeat(8, 2)
            shard, batch = writer.add(number, [encode_frame(frame, "jpeg", 95) for frame in frames])
            names.append(f"p#v{number}#000000#{FRAMES:06d}")
            place = {"clip": names[-1], "person": f"p{number}", "num_frames": FRAMES, "shard": shard, "batch": batch}
            rows.append(dict.fromkeys(INDEX.names) | place)
    facts = {"size_px": str(image_px), "encoding": "jpeg", "protocol": "none", "split": "none"}
    write_table(root / "clips" / "index.parquet", pa.Table.from_pylist(rows, schema=INDEX), facts)
    count = CLIPS * FRAMES
    table = build_fits(
        head, clip=[name for name in names for _ in range(FRAMES)], frame=list(range(FRAMES)) * CLIPS,
        status=["ok"] * count, score=np.ones(count), residual=np.zeros(count),
        fit=random_fits(head, count, torch.Generator().manual_seed(0)),
        crop_map=np.tile(np.array([1, 0, 0, 0, 1, 0], np.float32), (count, 1)), landmarks=np.zeros((count, 136)),
    )  # fmt: skip
    write_table(root / "fits.parquet", table, fits_metadata(head, "random", ""))
