"""Measure the face mesh: its floor, whether its numbers move the right way, and how fast it reads a video.

`python -m benchmarks.face_mesh` writes reports/benchmarks/face_mesh.{json,md}. Real frames are changed a little and
a lot and read again; puppets are rendered again with another pose, expression or identity. What is measured follows
from what the backend reads. Real frames are development data that is no part of the project.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import torch
import typer

from benchmarks.face_mesh_dlib import generated_rows, random_pairs
from benchmarks.face_mesh_frames import REAL, RERENDERED, STEPS, changed, puppet_frames, real_frames
from benchmarks.face_mesh_page import page
from model.heads.head import load_head
from pipeline.instruments.mesh_reader import MeshReader, open_mesh_files
from pipeline.metrics.akd import KeypointDistance
from pipeline.metrics.backends.mesh import Mesh
from pipeline.metrics.backends.pixels import Pixels
from pipeline.metrics.head_codes import ExpressionDistance, PoseDistance
from pipeline.params.tree import load_params
from pipeline.store.provenance import commit, versions, write_json, write_text
from pipeline.video.info import read_packets
from pipeline.video.readers import read_av

Readings = Mapping[str, np.ndarray]
Observe = Callable[[np.ndarray], Readings]
Distance = Callable[[np.ndarray, np.ndarray], np.ndarray]
SIZES = (256, 64)
PUPPET = Path("pipeline/puppets/assets/puppet.npz")
CPU = torch.device("cpu")
_NOBODY = Pixels()  # a metric that compares readings asks its backend for nothing


def mesh_of(weights: Path) -> MeshReader:
    """The face mesh, run by LiteRT where it is installed."""
    return open_mesh_files(weights / "blazeface.tflite", weights / "face_mesh.tflite", CPU)


def open_mesh(weights: Path) -> Observe:
    """The face mesh, and the puppet head fitted to it by the settings of profile `realvox`."""
    fit = load_params(Path("profiles/realvox.yaml")).fit
    return Mesh(mesh_of(weights), {"puppet": load_head(PUPPET)}, fit.min_score, fit.landmark_fit).observe


def numbers_of(readings: Readings) -> dict[str, tuple[str, Distance]]:
    """Name of each number that an instrument's readings allow -> the reading, and how two of them compare."""
    found: dict[str, tuple[str, Distance]] = {}
    for reading in readings:
        kind, _, head = reading.partition(":")
        if kind == "landmarks_px":
            found["akd_px"] = reading, KeypointDistance(_NOBODY).compare
        elif kind == "head_codes":
            found[f"aed[{head}]"] = reading, ExpressionDistance(_NOBODY).compare
            found[f"apd_deg[{head}]"] = reading, PoseDistance(_NOBODY).compare
    return found


def compared(readings: Readings, others: Readings) -> dict[str, float | None]:
    """Medians over frames of all numbers between N readings and N others; `read`: the share of the others read."""
    row: dict[str, float | None] = {"read": float(np.isfinite(next(iter(others.values()))).all(1).mean())}
    for name, (reading, distance) in numbers_of(readings).items():
        values = distance(readings[reading], others[reading])
        row[name] = float(np.nanmedian(values)) if np.isfinite(values).any() else None
    return row


def on_real_frames(observe: Observe, frames: np.ndarray, clip: np.ndarray, size: int) -> dict[str, Any]:
    """Every change at every step; beside it how far the next frame, and other people's, are."""
    known = observe(frames)
    rows = [
        {"change": change, "step": step, **compared(known, observe(changed(frames, change, step)))}
        for change, steps in REAL[size].items()
        for step in steps
    ]
    later = np.flatnonzero(np.diff(clip) == 0)
    strangers = [np.flatnonzero(clip != own) for own in clip]
    other = np.array([some[(7 * row) % len(some)] for row, some in enumerate(strangers)])
    return {
        "frames": len(frames),
        "rows": rows,
        "same_clip": compared(_taken(known, later), _taken(known, later + 1)),
        "other_people": compared(known, _taken(known, other)),
    }


def on_puppets(observe: Observe, scenes: Mapping[tuple[str, float], np.ndarray]) -> list[dict[str, Any]]:
    """Another pose, expression or identity, step by step: medians against the unchanged frames."""
    known = observe(scenes["", 0.0])
    rows = []
    for change in RERENDERED:
        curve = [compared(known, observe(scenes[change, step])) for step in STEPS]
        for name in numbers_of(known):
            values = [row[name] for row in curve]
            rows.append({"change": change, "number": name, "values": values, "read": curve[-1]["read"]})
    return rows


def video_speed(weights: Path, videos: list[Path]) -> dict[str, Any]:
    """Landmarks of whole videos beside a bare loop: decode, shrink, run the mesh. Processor time, decoding included."""
    reader = mesh_of(weights)
    ours = bare = 0.0
    frames = found = 0
    for path in videos:
        packets = read_packets(path)
        every = range(packets.info.num_frames)
        start = time.process_time()
        seen = [bool(face.found[0]) for face in reader.follow(read_av(path, packets, every))]
        ours += time.process_time() - start
        start = time.process_time()
        for frame in read_av(path, packets, every):
            small = cv2.resize(frame, (192, 192), interpolation=cv2.INTER_LINEAR)
            reader.mesh((small.astype(np.float32) / np.float32(255))[None])
        bare += time.process_time() - start
        frames, found = frames + len(seen), found + sum(seen)
    rates = {"frames_per_s": frames / ours, "bare_frames_per_s": frames / bare, "of_bare": bare / ours}
    return {"runner": reader.mesh.name, "frames": frames, "found": found, **rates}


def _taken(readings: Readings, rows: np.ndarray) -> Readings:
    return {name: values[rows] for name, values in readings.items()}


def main(
    weights: Annotated[Path, typer.Option(help="folder with blazeface.tflite and face_mesh.tflite")] = Path(
        "data/assets"
    ),
    data: Annotated[Path, typer.Option(help="folder with videos and landmarks.parquet")] = Path(
        "../shared/data/realvox"
    ),
    out: Annotated[Path, typer.Option(help="folder of the report")] = Path("reports/benchmarks"),
    step: Annotated[int, typer.Option(help="every step-th frame of the real videos")] = 40,
    people: Annotated[int, typer.Option(help="puppets")] = 16,
    predictor: Annotated[Path | None, typer.Option(help="dlib's shape predictor, to compare AKD with")] = None,
    run: Annotated[Path | None, typer.Option(help="data folder of a finished run, whose frames dlib sees too")] = None,
) -> None:
    """Measure, and write the numbers."""
    torch.set_num_threads(1)
    real = {size: real_frames(data, size, step) for size in SIZES}
    head = load_head(PUPPET)
    puppets = {size: puppet_frames(head, size, people) for size in SIZES}
    observe = open_mesh(weights)
    sizes = {
        str(size): {"real": on_real_frames(observe, *real[size], size), "puppets": on_puppets(observe, puppets[size])}
        for size in SIZES
    }
    result = {
        "command": "python -m benchmarks.face_mesh",
        "commit": commit(),
        "versions": versions(),
        "sizes": sizes,
        "beside_dlib": random_pairs(observe, *real[256], predictor) if predictor else None,
        "generated": generated_rows(observe, run, predictor) if predictor and run else None,
        "video": video_speed(weights, sorted((data / "videos").glob("*.mp4"))),
    }
    write_json(out / "face_mesh.json", result)
    write_text(out / "face_mesh.md", page(result))
    typer.echo(page(result))


if __name__ == "__main__":
    typer.run(main)
