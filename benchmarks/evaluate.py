"""Measure what scoring holds and how long it takes: `python -m benchmarks.evaluate` writes reports/benchmarks/evaluate.

A store of 256x256 frames is made, and two lists of its pairs, a short and a long one. `evaluate` and `controls` run on
both, each in a process of its own (`benchmarks.evaluate_run` says what stands in for networks), whose anonymous memory
is sampled from outside. What may grow with the list are names, scores and the numbers that instruments read, features
above all; images may not. Seconds of each metric are of the short list.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import pyarrow as pa
import typer

from benchmarks.evaluate_run import CODES, FEATURES
from benchmarks.footage import moving_frames
from benchmarks.memory import EVERY_S, Used, measured
from benchmarks.timing import environment, heading, table
from pipeline.store.clips import ClipWriter, encode_frame
from pipeline.store.provenance import write_json, write_text
from pipeline.store.schema import INDEX, PAIRS, write_table

SIZE_PX, FRAMES = 256, 24  # of a clip
BASES = 48  # frames that all others are shifts of
PEOPLE_CLIPS = 10  # clips a person
LARGEST_BYTES = 2.5e9
LARGEST_GROWTH = 0.25e9  # names, scores and what the allocator keeps
SLOW = "ssim"  # 22 ms a pair and core: measured on the short list only
JOBS = ("evaluate", "controls")


def make_clips(folder: Path, clips: int, size_px: int = SIZE_PX) -> None:
    """Write clips whose frames all differ: each is a shift of one of a few, the shift being its number."""
    bases = moving_frames(BASES, (size_px, size_px), 0)
    rows = []
    with ClipWriter(folder, "jpeg", 1 << 28) as writer:
        for number in range(clips):
            images = [bases[(number * FRAMES + i) % BASES] for i in range(FRAMES)]
            shifts = [divmod((number * FRAMES + i) // BASES, size_px) for i in range(FRAMES)]
            moved = [np.roll(image, shift, (0, 1)) for image, shift in zip(images, shifts, strict=True)]
            shard, batch = writer.add(number, [encode_frame(image, "jpeg", 95) for image in moved])
            place = {"clip": _clip(number), "person": _person(number), "video": f"v{number}", "dataset": "D",
                     "num_frames": FRAMES, "shard": shard, "batch": batch}  # fmt: skip
            rows.append(dict.fromkeys(INDEX.names) | place)
    write_table(folder / "index.parquet", pa.Table.from_pylist(rows, schema=INDEX))


def make_pairs(path: Path, count: int, clips: int) -> None:
    """List pairs, half of each task; a frame is the source of one pair and drives another."""
    rng = np.random.default_rng(0)
    frames = [(int(place) // FRAMES, int(place) % FRAMES) for place in rng.permutation(clips * FRAMES)[:count]]
    rows = []
    for number, (clip, frame) in enumerate(frames):
        same = number < count // 2
        driving, at = (clip, (frame + 1) % FRAMES) if same else frames[number - 1]
        if not same and _person(driving) == _person(clip):
            driving = (clip + PEOPLE_CLIPS) % clips
        rows.append(
            {"pair_id": f"D.{number:05d}", "dataset": "D", "task": "same" if same else "cross",
             "source_clip": _clip(clip), "source_frame": frame, "driving_clip": _clip(driving), "driving_frame": at,
             "source_person": _person(clip), "driving_person": _person(driving)}
        )  # fmt: skip
    write_table(path, pa.Table.from_pylist(rows, schema=PAIRS))


def _clip(number: int) -> str:
    return f"{_person(number)}#v{number:05d}#000000#{FRAMES:06d}"


def _person(number: int) -> str:
    return f"id{10000 + number // PEOPLE_CLIPS}"


def run(job: str, world: Path, left_out: str) -> tuple[Used, dict[str, Any]]:
    """Do one job in a process of its own, and remove what it wrote."""
    command = [sys.executable, "-m", "benchmarks.evaluate_run", job, str(world), left_out]
    used, out = measured(command, {"DVC_ROOT": str(world)})
    for name in ("mirror", "controls", "data"):
        shutil.rmtree(world / name, ignore_errors=True)
    return used, json.loads(out)


def measure(world: Path, few: int, many: int, size_px: int = SIZE_PX) -> dict[str, Any]:
    """All numbers: memory and seconds of both jobs on both lists, and seconds of each metric."""
    clips = -(-many // FRAMES)
    clips += -clips % PEOPLE_CLIPS
    make_clips(world / "clips", clips, size_px)
    runs: dict[str, dict[str, Used]] = {job: {} for job in JOBS}
    for count in (few, many):
        make_pairs(world / "pairs.parquet", count, clips)
        for job in JOBS:
            runs[job][str(count)], _ = run(job, world, SLOW)
    make_pairs(world / "pairs.parquet", few, clips)
    _, metrics = run("metrics", world, "")
    return {"few": few, "many": many, "clips": clips, "size_px": size_px, "runs": runs, "metrics": metrics}


def numbers_bytes(pairs: int) -> int:
    """Bytes of what the instruments read in a list's generated and reference images: FID's features and codes."""
    references = 4 * (FEATURES + CODES) * pairs  # each image that is compared with; a frame of two pairs counts once
    return references + 4 * (FEATURES + CODES) * pairs


def page(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    few, many = report["few"], report["many"]
    allowed = numbers_bytes(many) - numbers_bytes(few)
    rows = []
    for job, runs in report["runs"].items():
        small, large = runs[str(few)], runs[str(many)]
        growth = large["peak_bytes"] - small["peak_bytes"]
        seconds = [f"{large['wall_s']:.0f}", f"{large['cpu_s']:.0f}"]
        sizes = [_gb(small["peak_bytes"]), _gb(large["peak_bytes"]), _gb(growth), _gb(max(0, growth - allowed))]
        rows.append([job, *sizes, *seconds])
    metrics = [
        [name or "reading and naming the frames, without any", found["pairs"], *_per_thousand(found)]
        for name, found in report["metrics"].items()
    ]
    samples = [used["samples"] for runs in report["runs"].values() for used in runs.values()]
    decoded = 3 * many * report["size_px"] ** 2
    lines = [
        *heading("Scoring many pairs", report),
        f"Pairs of {report['size_px']}x{report['size_px']} px frames, half of them same identity, from "
        f"{report['clips']} clips of {FRAMES} frames; the profile voxceleb",
        "with a method that mirrors the source and instruments that only pick numbers out of the decoded images:",
        f"{FEATURES} features for FID, {CODES} for AED and APD. Peak of anonymous memory (RssAnon) of the processes,",
        f"sampled from outside every {EVERY_S:g} s ({min(samples)} to {max(samples)} samples a run).",
        "",
        *table(
            ["stage", f"{few} pairs, GB", f"{many} pairs, GB", "growth, GB", "beyond numbers, GB", "s", "CPU s"], rows
        ),
        "",
        f"Goal: at most {LARGEST_BYTES / 1e9:g} GB, and no growth but of numbers. What the instruments read in the "
        f"images of {many} pairs takes",
        f"{_gb(numbers_bytes(many))} GB, {_gb(allowed)} GB more than in those of {few}; these images themselves are "
        f"{_gb(decoded)} GB a side.",
        "Seconds are of the longer list, everything included. SSIM is left out of these runs for its time; like L1 it",
        "sees 64 pairs at once.",
        "",
        f"Seconds a metric, of the list of {few} pairs: scoring saved frames with one column alone, less scoring them "
        "without",
        "any. Those of the two instruments are of decoding and picking; a network's own time comes on top.",
        "",
        *table(["metric", "pairs", "s a 1,000 pairs", "CPU s a 1,000 pairs"], metrics),
    ]
    return "\n".join(lines) + "\n"


def _per_thousand(found: dict[str, float]) -> list[str]:
    return [f"{1000 * found[name] / found['pairs']:.2f}" for name in ("wall_s", "cpu_s")]


def _gb(size: float) -> str:
    return f"{size / 1e9:.2f}"


def failures(report: dict[str, Any]) -> list[str]:
    """Goals that were missed."""
    few, many = str(report["few"]), str(report["many"])
    allowed = numbers_bytes(report["many"]) - numbers_bytes(report["few"]) + LARGEST_GROWTH
    found = []
    for job, runs in report["runs"].items():
        if runs[many]["peak_bytes"] > LARGEST_BYTES:
            found.append(f"{job} holds {_gb(runs[many]['peak_bytes'])} GB")
        if runs[many]["peak_bytes"] - runs[few]["peak_bytes"] > allowed:
            found.append(f"{job} grows by {_gb(runs[many]['peak_bytes'] - runs[few]['peak_bytes'])} GB")
    return found


def main(
    out: Annotated[Path, typer.Option(help="folder of the report")] = Path("reports/benchmarks"),
    few: Annotated[int, typer.Option(help="pairs of the short list")] = 5000,
    many: Annotated[int, typer.Option(help="pairs of the long list")] = 50_000,
) -> None:
    """Measure memory and time of scoring; exit code 1 where a goal is missed."""
    report = environment("benchmarks.evaluate", 2)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        report |= measure(Path(folder), few, many)
    write_json(out / "evaluate.json", report)
    write_text(out / "evaluate.md", page(report))
    for line in failures(report):
        print(line, file=sys.stderr)
    raise typer.Exit(1 if failures(report) else 0)


if __name__ == "__main__":
    typer.run(main)
