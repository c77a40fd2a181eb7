"""Open instruments on real faces: what they read in nothing, whether they notice what they should, and how fast.

    python -m benchmarks.instruments                           # all instruments whose files are there
    python -m benchmarks.instruments --only efficientnet_lite0

Frames of the development data's videos at 256 and 64 px are changed a little (the floor) and made worse step by step
(validity); the readings of the changed frames are compared with those of the unchanged ones as the tables compare.
Writes reports/benchmarks/instruments.{json,md}; instruments that did not run keep their numbers.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from benchmarks.real_faces import STEPS, Faces, changes, read_faces, shrunk, small_changes
from benchmarks.timing import environment, heading
from pipeline.assets import ASSETS
from pipeline.metrics.backends.dlib_resnet import DlibFaces
from pipeline.metrics.backends.efficientnet_lite0 import Lite0
from pipeline.metrics.csim import CosineSimilarity
from pipeline.metrics.fid import frechet_distance
from pipeline.metrics.protocols import Opening
from pipeline.store.provenance import sha256_file, write_json, write_text

CPU = torch.device("cpu")
BATCH = 16
VIDEOS = {"realvox": "videos/{video_id}.mp4", "voxceleb2_samples": "mp4/{person_id}/{video_id}/{utterance}.mp4"}
Readings = dict[str, np.ndarray]


class GivenLandmarks:
    """In the place of a finder: landmarks come with the frames."""

    name = fingerprint = "given"
    weights_sha256 = ""

    @classmethod
    def open(cls, opening: Opening) -> "GivenLandmarks":
        """Nothing to load."""
        return cls()

    def observe(self, frames_u8: np.ndarray) -> Readings:
        """Refuse: nobody looks for landmarks here."""
        raise NotImplementedError("landmarks come with the frames")


@dataclass(frozen=True)
class Column:
    """A number of an instrument.

    Attributes:
        name: the metric's id.
        compare: readings of changed frames, of unchanged ones, and both frames -> the number.
        notices: changes that it is there to notice, and that must make it worse at every step.
        higher_is_better: which way is worse.
    """

    name: str
    compare: Callable[[Readings, Readings, Faces, Faces], float]
    notices: tuple[str, ...]
    higher_is_better: bool = False


@dataclass(frozen=True)
class Instrument:
    """A reader of faces, and what is made of its readings.

    Attributes:
        read: looks at frames.
        columns: the numbers that are made of its readings.
        identity: whether its reading `embedding` says who somebody is.
    """

    read: Callable[[Faces], Readings]
    columns: tuple[Column, ...]
    identity: bool = False


def dlib_resnet(weights: Path) -> Instrument:
    """CSIM by dlib's network, aligned by the frames' own landmarks."""
    backend = DlibFaces(weights, GivenLandmarks(), CPU)

    def read(faces: Faces) -> Readings:
        landmarks = faces.landmarks_px.reshape(len(faces.landmarks_px), -1)
        return backend.observe_with(faces.frames_u8, {"landmarks_px": landmarks})

    def compare(seen: Readings, known: Readings, changed: Faces, faces: Faces) -> float:
        return float(CosineSimilarity(backend).compare(seen["embedding"], known["embedding"]).mean())

    return Instrument(read, (Column("csim[dlib_resnet]", compare, ("blur", "identity mixing"), True),), identity=True)


def efficientnet_lite0(weights: Path) -> Instrument:
    """FID and the feature distance by EfficientNet-Lite0."""
    backend = Lite0(weights, CPU)

    def distance(seen: Readings, known: Readings, changed: Faces, faces: Faces) -> float:
        parts = [slice(at, at + BATCH) for at in range(0, len(faces.frames_u8), BATCH)]
        pairs = [backend.perceptual_distance(changed.frames_u8[part], faces.frames_u8[part]) for part in parts]
        return float(np.concatenate(pairs).mean())

    def fid(seen: Readings, known: Readings, changed: Faces, faces: Faces) -> float:
        return frechet_distance(seen["pooled"], known["pooled"])

    every = ("blur", "noise", "shift", "wrong pose", "wrong expression", "identity mixing")
    return Instrument(
        lambda faces: backend.observe(faces.frames_u8),
        (
            Column("fid[efficientnet_lite0]", fid, ("blur", "noise", "shift")),
            Column("feature_distance[efficientnet_lite0]", distance, every),
        ),
    )


INSTRUMENTS: Mapping[str, Callable[[Path], Instrument]] = {
    "dlib_resnet": dlib_resnet,
    "efficientnet_lite0": efficientnet_lite0,
}


def read(instrument: Instrument, faces: Faces) -> Readings:
    """Look at all frames, a batch at a time."""
    parts = [np.arange(at, min(at + BATCH, len(faces.person))) for at in range(0, len(faces.person), BATCH)]
    found = [instrument.read(faces.of(part)) for part in parts]
    return {name: np.concatenate([one[name] for one in found]) for name in found[0]}


def measure(instrument: Instrument, pool: Faces, rows: np.ndarray) -> dict[str, Any]:
    """Time, floor and validity of one instrument at one size on the frames `rows`, identity on all."""
    faces = pool.of(rows)
    started = time.process_time()
    known = read(instrument, faces)
    cpu_ms = 1000 * (time.process_time() - started) / len(rows)
    facts = {"cpu_ms_an_image": round(cpu_ms, 2), "changed_frames": len(rows)}
    result: dict[str, Any] = facts | {"floor": {}, "validity": []}
    for change, changed in small_changes(faces).items():
        seen = read(instrument, changed)
        result["floor"][change] = {
            column.name: round(column.compare(seen, known, changed, faces), 5) for column in instrument.columns
        }
    for change, (unit, at) in changes(pool, rows).items():
        steps = [at(step) if step else faces for step in STEPS]
        seen_at = [read(instrument, changed) for changed in steps]
        for column in instrument.columns:
            pairs = zip(seen_at, steps, strict=True)
            values = [round(column.compare(seen, known, changed, faces), 5) for seen, changed in pairs]
            worse = np.diff(values) * (-1 if column.higher_is_better else 1)
            expected = change in column.notices
            result["validity"].append(
                {"change": change, "unit": unit, "metric": column.name, "values": values, "expected": expected,
                 "monotone": bool((worse > 0).all())}
            )  # fmt: skip
    if instrument.identity:
        result["identity"] = separation(read(instrument, pool)["embedding"], pool.person)
    return result


def separation(embedding: np.ndarray, person: np.ndarray) -> dict[str, float]:
    """How well cosines tell whether two frames are of one person: the share of pairs of pairs in the right order.

    Same person means same video here, which flatters.
    """
    unit = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    first, second = np.triu_indices(len(unit), 1)
    cosine, same = (unit[first] * unit[second]).sum(1), person[first] == person[second]
    own, others = np.sort(cosine[same]), np.sort(cosine[~same])
    below = np.searchsorted(others, own, "left") + np.searchsorted(others, own, "right")
    shown = {f"{who}_{share}": np.quantile(of, share / 100)
             for who, of in (("same", own), ("different", others)) for share in (5, 50, 95)}  # fmt: skip
    return {name: round(float(value), 4) for name, value in {"auc": below.mean() / 2 / len(others), **shown}.items()}


def page(result: Mapping[str, Any]) -> str:
    """The result as Markdown."""
    lines = heading("Open instruments on real faces", dict(result))
    lines += [
        f"{result['frames']} frames of {result['people']} people, a video each, cropped to 256 px and shrunk to 64. "
        "Faces are aligned by the landmark tables of the data. Compared are changed frames with the unchanged ones: "
        "at no change a similarity is 1 and a distance 0.",
        "",
    ]
    for name, at_sizes in result["instruments"].items():
        sizes = at_sizes["sizes"]
        lines += [f"## `{name}`", ""]
        lines += [f"* {size} px: {one['cpu_ms_an_image']} ms an image (processor, one thread); floor and validity on "
                  f"{one['changed_frames']} of the frames." for size, one in sizes.items()]  # fmt: skip
        for size, one in sizes.items():
            if who := one.get("identity"):
                lines.append(
                    f"* {size} px: AUC {who['auc']:.4f}; cosine (5, 50, 95%) same person {who['same_5']:.3f} "
                    f"{who['same_50']:.3f} {who['same_95']:.3f}, different {who['different_5']:.3f} "
                    f"{who['different_50']:.3f} {who['different_95']:.3f}."
                )
        lines += ["", "| px | floor under | metric | value |", "| --- | --- | --- | ---: |"]
        lines += [f"| {size} | {change} | `{metric}` | {value:.4g} |" for size, one in sizes.items()
                  for change, values in one["floor"].items() for metric, value in values.items()]  # fmt: skip
        lines += ["", "Worse step by step; `expected` says that the metric is there to notice the change.", ""]
        lines += ["| px | change | metric | 0 | 1/4 | 1/2 | 3/4 | 1 | expected | monotone |"]
        lines += ["| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | --- | --- |"]
        for size, one in sizes.items():
            for row in one["validity"]:
                numbers = " | ".join(f"{value:.4g}" for value in row["values"])
                yes = ["no", "yes"]
                lines.append(
                    f"| {size} | {row['change']} ({row['unit']}) | `{row['metric']}` | {numbers} | "
                    f"{yes[row['expected']]} | {yes[row['monotone']]} |"
                )
        lines.append("")
    return "\n".join(lines)


def main(
    assets: Annotated[Path, typer.Option(help="folder of assets")] = Path("data/assets"),
    data: Annotated[Path, typer.Option(help="folder of the development data")] = Path("../shared/data"),
    out: Annotated[Path, typer.Option(help="folder of the report")] = Path("reports/benchmarks"),
    frames: Annotated[int, typer.Option(min=4, help="frames of each video")] = 20,
    changed: Annotated[int, typer.Option(min=1, help="how many of these are changed")] = 7,
    px: Annotated[int, typer.Option(help="one size of the two, 256 or 64; 0 takes both")] = 0,
    only: Annotated[list[str] | None, typer.Option(help="an instrument; may be given again")] = None,
) -> None:
    """Measure the instruments and write the report."""
    torch.set_num_threads(1)
    roots = {data / name: pattern for name, pattern in VIDEOS.items() if (data / name).is_dir()}
    if not roots:
        raise typer.BadParameter(f"{data} has none of {', '.join(VIDEOS)}", param_hint="--data")
    path = out / "instruments.json"
    before = json.loads(path.read_text())["instruments"] if path.exists() else {}
    large = read_faces(roots, frames)
    sizes = {faces.size_px: faces for faces in (large, shrunk(large))}
    starts = np.arange(0, len(large.person), frames)
    rows = (starts[:, None] + np.linspace(0, frames - 1, min(changed, frames)).round().astype(int)).ravel()
    measured = {}
    for name in only or INSTRUMENTS:
        weights = assets / ASSETS[name].file
        if not weights.is_file():
            print(f"{name}: not measured, there is no {weights}")
            continue
        instrument = INSTRUMENTS[name](weights)
        found = {str(size): measure(instrument, faces, rows) for size, faces in sizes.items() if px in (0, size)}
        measured[name] = {
            "weights_sha256": sha256_file(weights),
            "sizes": before.get(name, {}).get("sizes", {}) | found,
        }
        wrong = [row for one in found.values() for row in one["validity"] if row["expected"] and not row["monotone"]]
        print(f"{name}: measured; {len(wrong)} changes are not noticed at every step")
        result = environment("benchmarks.instruments", 1) | {
            "command": f"python -m benchmarks.instruments --frames {frames}",  # folders are where somebody has them
            "frames": len(large.person),
            "people": len(set(large.person)),
            "instruments": dict(sorted((before | measured).items())),
        }
        write_json(path, result)
        write_text(path.with_suffix(".md"), page(result))


if __name__ == "__main__":
    typer.run(main)
