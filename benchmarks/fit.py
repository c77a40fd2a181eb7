"""Measure the landmark fitter on real videos: residuals, left-out landmarks, identity's spread, frames a second.

`python -m benchmarks.fit` writes reports/benchmarks/fit.{json,md}. Landmarks and head are development data that is
not part of the project; landmarks are fitted in the whole video frame, scaled by half its longer extent.
"""

import os
import statistics
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from model.heads.head import HeadModel
from model.releases.ict import import_ict
from model.trackers.landmark_fit import OUTER_EYES, ClipFit, FitSettings, LandmarkFitter
from pipeline.params.tree import load_params
from pipeline.store.landmark_table import LandmarkTable
from pipeline.store.provenance import commit, versions, write_json, write_text

YAW_LIMIT_DEG = 45.0
LEFT_OUT = slice(0, 68, 7)
GOALS = {
    "fitted_median": "at most 0.02",
    "left_out_median": "at most 0.04",
    "identity_spread_ratio": "at most 0.333",
    "frames_per_second": "at least 100",
    "frames_per_cpu_second": "",
}


def clips_of(table: LandmarkTable) -> dict[str, Tensor]:
    """Landmarks of every video of a table, (T, 68, 2) px divided by one number, origin in their middle."""
    frames: dict[tuple[str, str], list[int]] = {}
    for person, video, frame in table.frames():
        frames.setdefault((person, video), []).append(frame)
    clips = {}
    for (person, video), numbers in sorted(frames.items()):
        points = torch.from_numpy(table.look(person, video, sorted(numbers)).landmarks_px)
        middle, extent = points.mean((0, 1)), (points.amax((0, 1)) - points.amin((0, 1))).max()
        clips[f"{person}/{video}"] = (points - middle) / extent
    return clips


def relative_error(fit: ClipFit, landmarks: Tensor) -> Tensor:
    """Landmark distances (T, 68) as a share of the distance of points 36 and 45 in the same frame."""
    eyes = (landmarks[:, OUTER_EYES[0]] - landmarks[:, OUTER_EYES[1]]).norm(dim=-1)
    return (fit.points - landmarks).norm(dim=-1) / eyes[:, None]


def measure(fitter: LandmarkFitter, clips: dict[str, Tensor], repeats: int) -> tuple[list[dict], dict]:
    """Fit every clip whole, without every seventh landmark, and in halves."""
    everything = torch.ones(68, dtype=torch.bool)
    fewer = everything.clone()
    fewer[LEFT_OUT] = False
    rows: list[dict[str, Any]] = []
    fitted, left_out, halves = [], [], []
    for name, landmarks in clips.items():
        fit, wall_s, cpu_s = timed_fit(fitter, landmarks, repeats)
        yaw = torch.rad2deg(fitter.head.yaw_pitch_roll_rad(fit.pose)[:, 0]).abs()
        frontal = yaw < YAW_LIMIT_DEG
        fitted.append(relative_error(fit, landmarks)[frontal].flatten())
        left_out.append(relative_error(fitter.fit(landmarks, fewer), landmarks)[frontal][:, ~fewer].flatten())
        parts = landmarks.tensor_split(2)
        halves.append(torch.stack([fitter.fit(part, everything).shape for part in parts]))
        rows.append(
            {"video": name, "frames": len(landmarks), "frames_below_45_deg": int(frontal.sum()),
             "largest_yaw_deg": yaw.max().item(), "fitted_median": fitted[-1].median().item(),
             "left_out_median": left_out[-1].median().item(), "seconds": wall_s, "cpu_seconds": cpu_s}
        )  # fmt: skip
    codes = torch.stack(halves)  # (videos, 2, S)
    within = (codes[:, 0] - codes[:, 1]).square().sum(-1).mean().div(2).sqrt().item()
    between = codes.mean(1).var(0).sum().sqrt().item()
    summary = {
        "fitted_median": torch.cat(fitted).median().item(),
        "left_out_median": torch.cat(left_out).median().item(),
        "identity_spread_within": within,
        "identity_spread_between": between,
        "identity_spread_ratio": within / between,
        "frames_per_second": sum(r["frames"] for r in rows) / sum(r["seconds"] for r in rows),
        "frames_per_cpu_second": sum(r["frames"] for r in rows) / sum(r["cpu_seconds"] for r in rows),
    }
    return rows, summary


def timed_fit(fitter: LandmarkFitter, landmarks: Tensor, repeats: int) -> tuple[ClipFit, float, float]:
    """Fit a clip some times; returns the fit, and the medians of wall and processor time in seconds."""
    times = []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        fit = fitter.fit(landmarks, torch.ones(68, dtype=torch.bool))
        times.append((time.perf_counter() - wall, time.process_time() - cpu))
    wall_times, cpu_times = zip(*times, strict=True)
    return fit, statistics.median(wall_times), statistics.median(cpu_times)


def page(result: dict) -> str:
    """The result as Markdown."""
    lines = [
        "# Landmark fitter on real videos",
        "",
        f"`{result['command']}`, {result['threads']} threads on {result['cores']} cores, no GPU, torch "
        f"{result['versions']['torch']}, load average before: {result['load_before']}. Head `{result['head']}`.",
        "",
        "Errors: shares of the distance between landmarks 36 and 45, median over landmarks and frames with yaw below "
        "45 degrees.",
        "Identity: root of the codes' summed variance between the halves of a video, against that between people.",
        "Frames a second: by the wall clock, and by processor time of all threads, which other load disturbs less.",
        "",
        "| | measured | goal |",
        "| --- | ---: | --- |",
        *(f"| {name} | {result['summary'][name]:.4g} | {goal} |" for name, goal in GOALS.items()),
        "",
        "| video | frames | below 45 deg | largest yaw | fitted | left out | frames/s |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in result["videos"]:
        numbers = f"{row['largest_yaw_deg']:.0f} | {row['fitted_median']:.4f} | {row['left_out_median']:.4f}"
        lines.append(
            f"| {row['video']} | {row['frames']} | {row['frames_below_45_deg']} | {numbers} | "
            f"{row['frames'] / row['seconds']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def main(
    data: Annotated[Path, typer.Option(help="folder with landmarks.parquet")] = Path("../shared/data/realvox"),
    head: Annotated[Path, typer.Option(help="ICT-FaceKit")] = Path("../shared/data/ict_facekit/ict_facekit.npz"),
    params: Annotated[Path, typer.Option(help="parameter file; its section fit.landmark_fit counts")] = Path(
        "profiles/realvox.yaml"
    ),
    out: Annotated[Path, typer.Option(help="folder of the report")] = Path("reports/benchmarks"),
    repeats: Annotated[int, typer.Option(help="timed fits of each video")] = 3,
) -> None:
    """Fit real landmarks with ICT-FaceKit and write the numbers."""
    load = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None
    settings = FitSettings(**load_params(params).fit.landmark_fit.model_dump())
    model = HeadModel(import_ict(head))
    clips = clips_of(LandmarkTable(data / "landmarks.parquet"))
    fitter = LandmarkFitter(model, settings)
    fitter.fit(next(iter(clips.values()))[:8], torch.ones(68, dtype=torch.bool))  # warm up
    rows, summary = measure(fitter, clips, repeats)
    result = {
        "command": f"python -m benchmarks.fit --params {params.name if params.is_absolute() else params}",
        "commit": commit(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load_before": load,
        "device": "cpu",
        "versions": versions(),
        "head": model.name,
        "settings": asdict(settings),
        "summary": summary,
        "videos": rows,
    }
    write_json(out / "fit.json", result)
    write_text(out / "fit.md", page(result))
    typer.echo(page(result))


if __name__ == "__main__":
    typer.run(main)
