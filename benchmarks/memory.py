"""Memory and time of crop and fit over the number of clips; `benchmarks.robustness` prints what this measures.

`python -m benchmarks.memory` prints it alone. Clips are tiny copies of one video. Each number of clips is a process of
its own that does all the work itself: its largest resident set holds what a stage keeps of every clip.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.footage import moving_frames, write_mp4
from pipeline.data_params import DataParams, SourceParams
from pipeline.fit import FitWork, fit_clips
from pipeline.pack import crop_all
from pipeline.params import load_params
from pipeline.provenance import ROOT
from pipeline.sources import list_clips

FRAMES, FRAME_HW, SIZE_PX = 4, (64, 64), 32
COUNTS = (100, 500, 1000, 2000)
HEAD = ROOT / "pipeline" / "puppets" / "assets" / "puppet.npz"


def measure(counts: tuple[int, ...] = COUNTS) -> list[dict[str, float]]:
    """Measure each number of clips.

    Returns:
        For each: clips; seconds and largest resident set (MB) of crop and, after it, of fit.
    """
    rows = []
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            env = {**os.environ, "DVC_ROOT": folder, "OMP_NUM_THREADS": "1"}
            command = [sys.executable, "-m", "benchmarks.memory", "--one", str(count), "--folder", folder]
            done = subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=True)
            rows.append(json.loads(done.stdout))
    return rows


def growth_kb_a_clip(rows: list[dict[str, float]], stage: str) -> float:
    """Kilobytes by which a stage's largest resident set grows with one clip more: slope from first to last."""
    first, last = rows[0], rows[-1]
    return 1e3 * (last[f"{stage}_peak_mb"] - first[f"{stage}_peak_mb"]) / (last["clips"] - first["clips"])


def one(count: int, folder: Path) -> dict[str, float]:
    """Crop and fit so many clips in this process."""
    source = {"kind": "vox2_release", "annotations": None, "videos": "mp4", "split": "test"}
    for name, clips in (("first", 0), ("second", count)):
        (folder / name / "mp4").mkdir(parents=True)
        for number in range(clips):
            path = folder / name / "mp4" / f"id{number % 50:05d}" / f"v{number:05d}" / "00001.mp4"
            path.parent.mkdir(parents=True)
            if number:
                shutil.copyfile(folder / "video.mp4", path)
            else:
                write_mp4(folder / "video.mp4", moving_frames(FRAMES, FRAME_HW, 0), key_every=FRAMES)
                shutil.copyfile(folder / "video.mp4", path)
    params = load_params(ROOT / "profiles" / "puppets.yaml")
    data = DataParams(
        root=str(folder), heads="heads", first=SourceParams(name="First", folder="first", **source),
        second=SourceParams(name="Second", folder="second", **source),
    )  # fmt: skip
    tube = params.crop.tube.model_copy(update={"min_frames": 1})
    crop = params.crop.model_copy(update={"size_px": SIZE_PX, "tube": tube})
    begun = time.perf_counter()
    crop_all(
        list_clips(data, tube), folder / "clips", crop, folder / "scratch", workers=0, scheduler=None, clip_timeout_s=60
    )
    row = {"clips": count, "crop_seconds": time.perf_counter() - begun, "crop_peak_mb": _peak_mb()}
    begun = time.perf_counter()
    work = FitWork(workers=0, scheduler=None, clip_timeout_s=60, retry_failed=False)
    fit_clips(params.fit, HEAD, folder / "clips", {}, folder / "fits", work)
    return {**row, "fit_seconds": time.perf_counter() - begun, "fit_peak_mb": _peak_mb()}


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 10 if sys.platform == "linux" else 1 << 20)


def main(
    one_count: Annotated[int, typer.Option("--one", help="measure this number of clips in this process")] = 0,
    folder: Annotated[Path, typer.Option(help="an empty folder, with --one")] = Path(),
    counts: Annotated[list[int], typer.Option(help="numbers of clips")] = list(COUNTS),  # noqa: B006  typer copies it
) -> None:
    """Print a row for each number of clips."""
    if one_count:
        typer.echo(json.dumps(one(one_count, folder)))
        return
    rows = measure(tuple(counts))
    for row in rows:
        typer.echo("  ".join(f"{name} {value:.1f}" for name, value in row.items()))
    for stage in ("crop", "fit"):
        typer.echo(f"{stage}: {growth_kb_a_clip(rows, stage):.1f} kB a clip more")


if __name__ == "__main__":
    typer.run(main)
