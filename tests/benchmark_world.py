"""A tiny benchmark for tests of evaluation and reports: clips, pairs, and a backend that is plain arithmetic."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa

from pipeline.metrics.registry import Measure, metric_named
from pipeline.params.reports import EvaluateParams, ReportParams
from pipeline.params.tree import load_params
from pipeline.store.clips import ClipWriter, encode_frame
from pipeline.store.schema import INDEX, PAIRS, write_table
from pipeline.work.ledger import LedgerRow, to_table

HEIGHT, WIDTH = 16, 24
PEOPLE = 9
DATASETS = ("first", "second")
BENCH = SimpleNamespace(
    name="toy",
    recipe="tiny",
    head="one",
    head2="two",
    baselines=["official"],
    own_crops=True,
    corpora=["first", "second"],
    seeds=1,
)
MODEL = SimpleNamespace(recipe="tiny", head="one", guidance="neural_codes")
REPORT = ReportParams(
    reference="nmfc", coverage_draws=200, min_people=8, paper_beside=False, embed_pictures=True, sheet_pairs=2
)
RECIPES = {"tiny": load_params().recipes["toy64"]}
NETWORKS = {"tiny": load_params().networks["toy64"]}
PARAMS = SimpleNamespace(
    bench=BENCH,
    model=MODEL,
    recipes=RECIPES,
    networks=NETWORKS,
    report=REPORT,
    evaluate=EvaluateParams(batch_size=4),
)
COLUMNS = [("fid", "judge", ""), ("csim", "judge", ""), ("akd", "judge", ""), ("aed", "judge", "one"),
           ("aed", "judge", "two"), ("apd", "judge", "one"), ("apd", "judge", "two"), ("l1", "pixels", ""),
           ("ssim", "pixels", ""), ("lpips", "none", ""), ("psnr", "pixels", ""), ("ms_ssim", "pixels", ""),
           ("kid", "judge", ""), ("csim_driver", "judge", ""), ("nme", "judge", ""), ("yaw_gap", "judge", "one"),
]  # fmt: skip


class FakeJudge:
    """Reads simple statistics; fails on frames whose first pixel is pure red."""

    name = "judge"
    weights_sha256 = "f" * 64

    def __init__(self, fingerprint: str = "fake") -> None:
        self.fingerprint = fingerprint
        self.images_seen = 0

    def observe(self, frames_u8: np.ndarray) -> dict[str, np.ndarray]:
        """Means and projections of the frames."""
        self.images_seen += len(frames_u8)
        flat = frames_u8.reshape(len(frames_u8), -1).astype(np.float32) / 255
        basis = np.random.default_rng(5).normal(size=(flat.shape[1], 143)).astype(np.float32)
        found = flat @ basis
        found[(frames_u8[:, 0, 0] == (255, 0, 0)).all(1)] = np.nan
        parts = {
            "pooled": slice(3),
            "embedding": slice(3, 7),
            "landmarks_px": slice(7, None),
            "head_codes:one": slice(8),
        }
        parts["head_codes:two"] = slice(20, 26)
        return {name: found[:, part] for name, part in parts.items()}


def make_measures(backend: FakeJudge) -> list[Measure]:
    """All columns: LPIPS has no backend and gives the reason."""
    measures = []
    for name, backend_name, head in COLUMNS:
        metric = metric_named(name)
        metric_id = metric.metric_id(backend_name, head, (HEIGHT, WIDTH))
        reason = "lpips: no weights; `pwm assets import lpips_alex FILE`" if backend_name == "none" else ""
        if name == "ms_ssim":
            reason = metric.undefined((HEIGHT, WIDTH))
        measures.append(Measure(metric_id, metric, backend_name, head, None if reason else backend, reason))
    return measures


def make_clips(folder: Path, people: int = PEOPLE) -> None:
    """Write one four-frame clip a person and data set, lossless."""
    rng = np.random.default_rng(0)
    rows = []
    with ClipWriter(folder, "png", 1 << 20) as writer:
        for dataset in DATASETS:
            for number in range(people):
                clip = f"{dataset}{number}#v#0#4"
                frames = rng.integers(0, 256, (4, HEIGHT, WIDTH, 3), dtype=np.uint8)
                shard, batch = writer.add(len(rows), [encode_frame(f, "png", 0) for f in frames])
                rows.append(
                    {"clip": clip, "dataset": dataset, "split": "test", "person": f"{dataset}{number}", "video": "v",
                     "start": 0, "end": 4, "fps": 25.0, "num_frames": 4, "source_width": 100, "source_height": 80,
                     "crop_map": [1, 0, 0, 0, 1, 0], "frame_index": [0, 1, 2, 3], "shard": shard, "batch": batch}
                )  # fmt: skip
    write_table(folder / "index.parquet", pa.Table.from_pylist(rows, schema=INDEX))
    ledger = [LedgerRow(*(row[name] for name in ("dataset", "split", "clip", "person", "video"))) for row in rows]
    ledger.append(LedgerRow("first", "test", "gone#v#0#4", "gone", "v", "missing_source", "no video"))
    ledger.append(LedgerRow("first", "test", "first0#v#line9", "first0", "v", "repeated", "repeats line 2"))
    facts = {
        "protocol": {name: f"fomm_csv+{name}@12345678" for name in DATASETS},
        "split": {name: "FOMM's csv" for name in DATASETS},
    }
    write_table(folder / "ledger.parquet", to_table(ledger), {name: json.dumps(fact) for name, fact in facts.items()})


def make_pairs(path: Path, people: int = PEOPLE) -> None:
    """Write three pairs a person, data set and task."""
    rows = []
    for dataset in DATASETS:
        for task in ("same", "cross"):
            for number in range(people * 3):
                source = f"{dataset}{number % people}"
                driving = source if task == "same" else f"{dataset}{(number % people + 1) % people}"
                rows.append(
                    {"pair_id": f"{dataset}.{task}.{number:03d}", "dataset": dataset, "task": task,
                     "source_clip": f"{source}#v#0#4", "source_frame": number // people,
                     "driving_clip": f"{driving}#v#0#4", "driving_frame": number // people + 1,
                     "source_person": source, "driving_person": driving}
                )  # fmt: skip
    write_table(path, pa.Table.from_pylist(rows, schema=PAIRS))
