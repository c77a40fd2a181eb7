"""Calibrate the map from the face mesh's 468 points to 68 landmarks, and measure it.

`python -m benchmarks.mesh_landmarks` renders puppets of no corpus, whose 68 landmarks are known, and reads them with
the mesh; every landmark becomes a weighted mean of the mesh points around it (ridge regression towards the nearest).
It writes pipeline/instruments/sixty_eight_table.py and reports/benchmarks/mesh_landmarks.{json,md}. Measured are the
error on other puppets and, where the development data are, fits of both kinds of heads to real faces beside fits to the
landmark table there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from model.heads.head import HeadModel, load_head
from model.instruments.face_mesh import NUM_POINTS
from model.releases.ict import import_ict
from model.trackers.landmark_fit import ClipFit, FitSettings, LandmarkFitter
from pipeline.instruments.mesh_reader import MeshReader, open_mesh_files
from pipeline.params.tree import load_params
from pipeline.puppet_training.mirror import mirror_landmarks
from pipeline.puppets import sampling
from pipeline.puppets.motion import MotionLimits
from pipeline.puppets.people import TRAINING_SEEDS, VALIDATION_SEEDS
from pipeline.puppets.scene import Studio
from pipeline.store.landmark_table import LandmarkTable
from pipeline.store.provenance import commit, versions, write_json, write_text
from pipeline.video.info import read_packets
from pipeline.video.readers import read_av

TABLE = Path("pipeline/instruments/sixty_eight_table.py")
PUPPET = Path("pipeline/puppets/assets/puppet.npz")
SIZE_PX, TEXTURE_PX = 256, 512
JITTER = sampling.CropJitter((1.3, 1.9), 0.08, 0.0)
LIMITS = MotionLimits(yaw_deg=40, pitch_deg=25, roll_deg=15)
NEAR_FRONTAL_DEG = 30.0
EYES = (33, 263)
# The list that circulates for the mesh, one point a landmark: what this table is compared with, and not made of.
USUAL = (
    162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389, 70, 63, 105, 66, 107, 336, 296,
    334, 293, 300, 168, 197, 5, 4, 75, 97, 2, 326, 305, 33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380, 61,
    39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87,
)  # fmt: skip
NEIGHBOURS, RIDGE = 12, 3e-3  # of distances over the outer eyes' distance


@dataclass(frozen=True)
class Puppets:
    """Mesh points (N, 468, 2) and true landmarks (N, 68, 2), scaled by the eyes' distance; yaw (N,) in degrees."""

    points: np.ndarray
    landmarks: np.ndarray
    yaw_deg: np.ndarray
    found: float

    @property
    def frontal(self) -> np.ndarray:
        """(N,) bool."""
        return np.abs(self.yaw_deg) < NEAR_FRONTAL_DEG


def read_puppets(reader: MeshReader, seed: int, count: int, seeds: range) -> Puppets:
    """Render puppets, and read them and their mirror images."""
    studio = Studio(load_head(PUPPET), TEXTURE_PX)
    crops = sampling.random_crops(
        studio,
        seed,
        count,
        (SIZE_PX, SIZE_PX),
        jitter=JITTER,
        limits=LIMITS,
        looks_per_person=1,
        seeds=seeds,
        talking=0.5,
    )
    plain = torch.from_numpy(crops.landmarks).float()
    ndc = np.concatenate([plain.numpy(), mirror_landmarks(plain).numpy()]).astype(np.float64)
    faces = reader.read([*crops.images, *crops.images[:, :, ::-1]])
    found = faces.found
    points = faces.points_px[found, :, :2].astype(np.float64)
    middle = points.mean(1, keepdims=True)
    eyes = np.linalg.norm(points[:, EYES[0]] - points[:, EYES[1]], axis=1)
    scale = np.maximum(eyes, 0.5 * np.median(eyes))[:, None, None]
    landmarks = (ndc[found] + 1) * SIZE_PX / 2
    yaw = np.concatenate([crops.angles_deg[:, 0], -crops.angles_deg[:, 0]])[found]
    return Puppets((points - middle) / scale, (landmarks - middle) / scale, yaw, float(found.mean()))


def calibrate(puppets: Puppets) -> np.ndarray:
    """Weights (68, 468), in thousandths so that they print short; rows sum to one."""
    points, landmarks, frontal = puppets.points, puppets.landmarks, puppets.frontal
    resting = points[frontal].mean(0)
    found = np.zeros((68, points.shape[1]))
    for row, own in zip(found, landmarks.transpose(1, 0, 2), strict=True):
        nearest = int(np.linalg.norm(points[frontal] - own[frontal][:, None], axis=-1).mean(0).argmin())
        around = np.argsort(np.linalg.norm(resting - resting[nearest], axis=1), kind="stable")[1:NEIGHBOURS]
        steps = (points[:, around] - points[:, [nearest]]).transpose(0, 2, 1).reshape(-1, NEIGHBOURS - 1)
        left = (own - points[:, nearest]).reshape(-1)
        normal = steps.T @ steps / len(steps) + RIDGE * np.eye(NEIGHBOURS - 1)
        row[around] = np.round(np.linalg.solve(normal, steps.T @ left / len(steps)), 3)
        row[nearest] = 1 - row.sum()
    return found


def errors(weights: np.ndarray, puppets: Puppets) -> dict[str, float]:
    """Mean distances near frontal view, in eye distances: inside the face and on its contour."""
    found = np.einsum("lp,npc->nlc", weights, puppets.points[puppets.frontal])
    distance = np.linalg.norm(found - puppets.landmarks[puppets.frontal], axis=-1)
    return {"inner": float(distance[:, 17:].mean()), "contour": float(distance[:, :17].mean())}


def read_real(reader: MeshReader, data: Path, step: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Every `step`-th frame of each video: mesh points (T, 468, 2) and the table's landmarks (T, 68, 2), px."""
    table = LandmarkTable(data / "landmarks.parquet")
    frames: dict[tuple[str, str], list[int]] = {}
    for person, video, frame in table.frames():
        frames.setdefault((person, video), []).append(frame)
    read = {}
    for (person, video), numbers in sorted(frames.items()):
        chosen = sorted(numbers)[::step]
        path = data / "videos" / f"{video}.mp4"
        faces = reader.read(list(read_av(path, read_packets(path), chosen)))
        kept = faces.found
        given = table.look(person, video, chosen).landmarks_px[kept]
        read[video] = faces.points_px[kept, :, :2].astype(np.float64), given
    return read


def on_real_faces(
    weights: np.ndarray, real: Mapping[str, tuple[np.ndarray, np.ndarray]], fitter: LandmarkFitter
) -> dict:
    """Fits to landmarks by these weights beside fits to the table's: residuals and angles, means over videos."""
    rows = []
    for points, given in real.values():
        ours, theirs = (fitted(fitter, marks) for marks in (np.einsum("lp,npc->nlc", weights, points), given))
        gap = (_angles_deg(fitter, ours) - _angles_deg(fitter, theirs)).numpy()
        rows.append(
            {"residual": _rms(ours), "residual_table": _rms(theirs), "yaw": gap[:, 0].mean(), "pitch": gap[:, 1].mean(),
             "roll": gap[:, 2].mean(), "apd": np.abs(gap).mean(), "apd_mean_removed": np.abs(gap - gap.mean(0)).mean()}
        )  # fmt: skip
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def fitted(fitter: LandmarkFitter, landmarks_px: np.ndarray) -> ClipFit:
    """Fit a clip's landmarks (T, 68, 2) in a square around all of them."""
    marks = torch.from_numpy(np.ascontiguousarray(landmarks_px)).double()
    middle, extent = marks.mean((0, 1)), (marks.amax((0, 1)) - marks.amin((0, 1))).max()
    return fitter.fit((marks - middle) / extent, torch.ones(68, dtype=torch.bool))


def _rms(fit: ClipFit) -> float:
    return float(fit.error[:, 17:].square().mean(1).sqrt().mean())


def _angles_deg(fitter: LandmarkFitter, fit: ClipFit) -> torch.Tensor:
    return torch.rad2deg(fitter.head.yaw_pitch_roll_rad(fit.pose))


def table_text(weights: np.ndarray) -> str:
    """The module that holds the table."""
    lines = []
    for row in weights:
        order = np.argsort(-np.abs(row), kind="stable")[: np.count_nonzero(row)]
        lines.append(" ".join(f"{point}:{_short(row[point])}" for point in order))
    head = '"""Mesh points and weights of each of the 68 landmarks; made by `python -m benchmarks.mesh_landmarks`."""'
    return f'{head}\n\nTABLE = """\n' + "\n".join(lines) + '\n"""\n'


def _short(weight: float) -> str:
    """Three decimals without what goes without saying: -0.12 is "-.12"."""
    text = f"{abs(weight):.3f}".rstrip("0").rstrip(".").removeprefix("0")
    return f"-{text}" if weight < 0 else text


def page(result: Mapping[str, Any]) -> str:
    """The result as Markdown."""
    rows = [
        f"| {head} | {which} | {r['residual']:.4f} | {r['residual_table']:.4f} | {r['pitch']:+.2f} | {r['yaw']:+.2f} | "
        f"{r['roll']:+.2f} | {r['apd']:.2f} | {r['apd_mean_removed']:.2f} |"
        for head, both in result["real"].items()
        for which, r in both.items()
    ]
    test, train, usual = (result["puppets"][name] for name in ("other_people", "calibrated_on", "other_people_usual"))
    return "\n".join(
        [
            "# From the face mesh to 68 landmarks",
            "",
            f"`{result['command']}`, run by {result['runner']}. {result['crops']} renders of puppets and their mirror "
            f"images; the mesh found {result['found']:.1%} of them.",
            "",
            f"Error on these, eye distances near frontal view: inside the face {train['inner']:.4f}, contour "
            f"{train['contour']:.4f}; on puppets of other people {test['inner']:.4f} and {test['contour']:.4f}, "
            f"by the usual list of one mesh point each {usual['inner']:.4f} and {usual['contour']:.4f}.",
            "",
            "Real faces: fits to these landmarks beside fits to the landmark table of the development data (means over "
            "its videos; residual: rms of the 51 inner points in outer-eye distances; angles in degrees, ours minus "
            "the table's).",
            "",
            "| head | landmarks | residual | table's | pitch | yaw | roll | APD | APD, clip mean removed |",
            "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
            *(rows or ["| not measured: the development data are not here | | | | | | | | |"]),
            "",
        ]
    )


def main(
    weights: Annotated[Path, typer.Option(help="folder with blazeface.tflite and face_mesh.tflite")] = Path(
        "data/assets"
    ),
    data: Annotated[Path, typer.Option(help="folder with videos and landmarks.parquet")] = Path(
        "../shared/data/realvox"
    ),
    ict: Annotated[Path, typer.Option(help="ICT-FaceKit")] = Path("../shared/data/ict_facekit/ict_facekit.npz"),
    params: Annotated[Path, typer.Option(help="parameter file; its section fit.landmark_fit counts")] = Path(
        "profiles/realvox.yaml"
    ),
    out: Annotated[Path, typer.Option(help="folder of the report")] = Path("reports/benchmarks"),
    crops: Annotated[int, typer.Option(help="renders to calibrate on")] = 600,
    step: Annotated[int, typer.Option(help="every step-th frame of the real videos is fitted")] = 12,
) -> None:
    """Calibrate, measure, and write the table."""
    torch.set_num_threads(1)
    reader = open_mesh_files(weights / "blazeface.tflite", weights / "face_mesh.tflite", torch.device("cpu"))
    seen = read_puppets(reader, 11, crops, TRAINING_SEEDS)
    others = read_puppets(reader, 7, crops // 3, VALIDATION_SEEDS)
    found = calibrate(seen)
    write_text(TABLE, table_text(found))
    settings = FitSettings(**load_params(params).fit.landmark_fit.model_dump())
    openers: dict[str, Callable[[], HeadModel]] = {
        "ict": lambda: HeadModel(import_ict(ict)), "puppet": lambda: load_head(PUPPET)
    }  # fmt: skip
    real = read_real(reader, data, step) if data.exists() and ict.exists() else {}
    usual = np.eye(NUM_POINTS)[list(USUAL)]
    fits = {}
    for name, opened in openers.items() if real else ():
        fitter = LandmarkFitter(opened(), settings)
        fits[name] = {
            which: on_real_faces(rows, real, fitter) for which, rows in (("this table", found), ("usual list", usual))
        }
    result = {
        "command": "python -m benchmarks.mesh_landmarks",
        "commit": commit(),
        "versions": versions(),
        "runner": reader.mesh.name,
        "crops": crops,
        "neighbours": NEIGHBOURS,
        "ridge": RIDGE,
        "found": seen.found,
        "puppets": {
            "calibrated_on": errors(found, seen),
            "other_people": errors(found, others),
            "other_people_usual": errors(usual, others),
        },  # fmt: skip
        "real": fits,
    }
    write_json(out / "mesh_landmarks.json", result)
    write_text(out / "mesh_landmarks.md", page(result))
    typer.echo(page(result))


if __name__ == "__main__":
    typer.run(main)
