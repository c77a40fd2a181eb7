"""Measure reading of training pairs: `python -m benchmarks.loader` writes reports/benchmarks/loader.{json,md}.

A pair is two random frames of a random clip, decoded to uint8. Three stores of the same frames take turns in one
process, a few pairs at a time: ours (JPEG in Arrow shards), a folder of PNGs (read by OpenCV) and mp4 files with long
groups of pictures, 250 frames from key frame to key frame as x264 has it by default (decord, one thread, one reader a
pair, the earlier frame first, so that nothing is decoded twice). Rates are per core: pairs by processor time of all
threads. Then whole batches as training gets them, images and fits, without the cache of decoded frames; and a row of
fitted parameters by (clip, frame).
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import typer

from benchmarks.footage import moving_frames, write_mp4
from benchmarks.timing import environment, heading, table
from model.heads.fit import HeadFit
from model.heads.head import HeadModel, load_head
from pipeline.store.clips import ClipStore, ClipWriter, encode_frame
from pipeline.store.fits import FitTable, build_fits, fits_metadata
from pipeline.store.provenance import ROOT, write_json, write_text
from pipeline.store.schema import INDEX, write_table
from pipeline.training.dataset import PairDataset
from pipeline.training.loader import BatchesAhead

SIZE_PX, BATCH, ROUNDS = 256, 16, 15
GROUP = 250  # frames from key frame to key frame
STORES = {"arrow_jpeg": "JPEG q95 in Arrow shards", "png_folder": "folder of PNGs", "mp4": "mp4, a key frame every 250"}
SHARE = {"arrow_jpeg": 1.0, "png_folder": 0.3, "mp4": 0.03}  # of a turn's pairs: about as long for each store
GOALS = {"png_folder": 3.0, "mp4": 40.0}  # how many times as fast as these ours has to be
LARGEST_ROW_US = 50.0
HEAD = ROOT / "pipeline" / "puppets" / "assets" / "puppet.npz"
Reader = Callable[[str, int, int], list[np.ndarray]]


def make_stores(root: Path, clips: int, frames: int, head: HeadModel) -> None:
    """Write the same frames in all three forms, and fits of all frames."""
    index = []
    with ClipWriter(root / "clips", "jpeg", 1 << 28) as writer:
        for number in range(clips):
            name = f"p#v{number}#000000#{frames:06d}"
            images = moving_frames(frames, (SIZE_PX, SIZE_PX), number)
            shard, batch = writer.add(number, [encode_frame(image, "jpeg", 95) for image in images])
            place = {"clip": name, "num_frames": frames, "shard": shard, "batch": batch}
            index.append({**dict.fromkeys(INDEX.names), **place})
            write_mp4(root / "mp4" / f"{name}.mp4", images, key_every=GROUP)
            (root / "png" / name).mkdir(parents=True)
            for i, image in enumerate(images):
                (root / "png" / name / f"{i:07d}.png").write_bytes(encode_frame(image, "png", 0))
    write_table(root / "clips" / "index.parquet", pa.Table.from_pylist(index, schema=INDEX))
    names = [str(row["clip"]) for row in index]
    rng = np.random.default_rng(0)
    count = clips * frames
    sizes = (head.num_shape, head.num_expression, head.num_pose, head.num_camera, 6)
    fit = HeadFit(*(torch.from_numpy(rng.normal(size=(count, n)).astype(np.float32)) for n in sizes))
    table = build_fits(
        head, clip=[n for n in names for _ in range(frames)], frame=list(range(frames)) * clips,
        status=["ok"] * count, score=np.ones(count), residual=np.zeros(count), fit=fit,
        crop_map=np.zeros((count, 6)), landmarks=np.zeros((count, 136)),
    )  # fmt: skip
    write_table(root / "fits.parquet", table, fits_metadata(head, "random", ""))


def readers(root: Path) -> dict[str, Reader]:
    """One function a store: frames i and j of a clip."""
    import decord

    store = ClipStore(root / "clips")

    def arrow(clip: str, *frames: int) -> list[np.ndarray]:
        return [store.frame(clip, i) for i in frames]

    def png(clip: str, *frames: int) -> list[np.ndarray]:
        files = (str(root / "png" / clip / f"{i:07d}.png") for i in frames)
        return [np.asarray(cv2.imread(file, cv2.IMREAD_COLOR_RGB)) for file in files]

    def mp4(clip: str, *frames: int) -> list[np.ndarray]:
        video = decord.VideoReader(str(root / "mp4" / f"{clip}.mp4"), num_threads=1)
        images = {i: video[i].asnumpy() for i in sorted(frames)}
        return [images[i] for i in frames]

    return {"arrow_jpeg": arrow, "png_folder": png, "mp4": mp4}


def read_pairs(read: Reader, clips: list[str], frames: int, pairs: int, seed: int) -> dict[str, float]:
    """Read random pairs; pairs a second by the wall clock and by processor time."""
    rng = np.random.default_rng(seed)
    drawn = [(clips[rng.integers(len(clips))], *rng.choice(frames, 2, replace=False).tolist()) for _ in range(pairs)]
    wall, processor = time.perf_counter(), time.process_time()
    for clip, i, j in drawn:
        images = read(clip, i, j)
        assert [image.shape for image in images] == [(SIZE_PX, SIZE_PX, 3)] * 2
    return {"per_core": pairs / (time.process_time() - processor), "wall": pairs / (time.perf_counter() - wall)}


def read_batches(root: Path, threads: int, batches: int) -> dict[str, float]:
    """Pairs a second of whole training batches, made by this thread (0) or ahead by several."""
    data = PairDataset(root / "clips", root / "fits.parquet", cache_bytes=0)
    data.batch(0, 0, BATCH)
    wall, processor = time.perf_counter(), time.process_time()
    if threads:
        with BatchesAhead(lambda step: data.batch(step, 0, BATCH), batches, threads) as ahead:
            for step in range(batches):
                ahead(step)
    else:
        for step in range(batches):
            data.batch(step, 0, BATCH)
    pairs = batches * BATCH
    return {"per_core": pairs / (time.process_time() - processor), "wall": pairs / (time.perf_counter() - wall)}


def parameter_row_us(path: Path, rows: int) -> dict[str, float]:
    """Microseconds for one frame's parameters: from the table in memory, and by a filtered read of the file."""
    fits = FitTable.read(path)
    rng = np.random.default_rng(0)
    picks = rng.integers(fits.table.num_rows, size=rows)
    keys = [(fits.table["clip"][int(p)].as_py(), fits.table["frame"][int(p)].as_py()) for p in picks]
    begun = time.process_time()
    for clip, frame in keys:
        fits.one(clip, frame)
    table = 1e6 * (time.process_time() - begun) / rows
    begun = time.process_time()
    for clip, frame in keys[:3]:
        pq.read_table(path, filters=[("clip", "==", clip), ("frame", "==", frame)])
    return {"table": table, "filtered_parquet": 1e6 * (time.process_time() - begun) / 3}


def measure(root: Path, frames: int, pairs: int) -> dict[str, object]:
    """All numbers, stores taking turns."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in STORES}
    reading = readers(root)
    names = ClipStore(root / "clips").clips()
    for read in reading.values():
        read_pairs(read, names, frames, 2 * len(names), 0)  # the first reads warm the page cache
    for turn in range(ROUNDS):
        for name in STORES:
            found[name].append(read_pairs(reading[name], names, frames, max(2, round(pairs * SHARE[name])), turn + 1))
    stores = {name: {k: [r[k] for r in results] for k in results[0]} for name, results in found.items()}
    ours = stores["arrow_jpeg"]["per_core"]
    return {
        "stores": stores,
        "ratios": {
            name: statistics.median(a / b for a, b in zip(ours, stores[name]["per_core"], strict=True))
            for name in GOALS
        },
        "batches": {str(n): read_batches(root, n, max(2, pairs // BATCH)) for n in (0, 1, 2)},
        "parameter_row_us": parameter_row_us(root / "fits.parquet", 2000),
    }


def page(report: dict) -> str:
    """The report as Markdown."""
    rows = []
    for name, title in STORES.items():
        cells = [_spread(report["stores"][name][kind]) for kind in ("per_core", "wall")]
        ratio, goal = report["ratios"].get(name), GOALS.get(name)
        rows.append([title, *cells, ratio and f"{ratio:.1f}", goal and f"at least {goal:g}"])
    batches = [[n, f"{r['per_core']:.0f}", f"{r['wall']:.0f}"] for n, r in report["batches"].items()]
    row = report["parameter_row_us"]
    lines = [
        *heading("Reading training pairs", report),
        f"{report['clips']} clips of {report['frames']} frames, {SIZE_PX}x{SIZE_PX} px. Median (smallest to largest) "
        f"of {ROUNDS} turns;",
        "the ratio is of pairs per second of CPU time, the median over turns.",
        "",
        *table(["store", "pairs a CPU second", "pairs a second", "ours is faster by", "goal"], rows),
        "",
        f"Batches of {BATCH} pairs as training gets them: float32 images and fits, no cache of decoded frames.",
        "",
        *table(["threads ahead", "pairs a CPU second", "pairs a second"], batches),
        "",
        "Parameters of one frame by (clip, frame), microseconds of CPU time:",
        "",
        *table(
            ["way", "us", "goal"],
            [
                ["table in memory", f"{row['table']:.1f}", f"below {LARGEST_ROW_US:g}"],
                ["filtered read of the file", f"{row['filtered_parquet']:.0f}", None],
            ],
        ),
    ]
    return "\n".join(lines) + "\n"


def _spread(rates: list[float]) -> str:
    return f"{statistics.median(rates):.0f} ({min(rates):.0f} to {max(rates):.0f})"


def main(
    out: Annotated[Path, typer.Option(help="folder of the report")] = Path("reports/benchmarks"),
    clips: Annotated[int, typer.Option(help="clips to read from")] = 16,
    frames: Annotated[int, typer.Option(help="frames a clip")] = 250,
    pairs: Annotated[int, typer.Option(help="pairs a turn from the fastest store")] = 400,
) -> None:
    """Time reading of pairs and parameter rows."""
    report = environment("benchmarks.loader", 1)
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        make_stores(Path(folder), clips, frames, load_head(HEAD))
        measured = measure(Path(folder), frames, pairs)
    report |= {"clips": clips, "frames": frames, **measured}
    write_json(out / "loader.json", report)
    write_text(out / "loader.md", page(report))
    typer.echo(page(report))


if __name__ == "__main__":
    typer.run(main)
