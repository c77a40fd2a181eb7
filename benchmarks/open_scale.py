"""All open metrics of the profiles of real people on frames with faces, beside the bare passes of their networks."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.timing import in_turns, spread
from model.heads.head import load_head
from model.instruments import blazeface, face_mesh
from model.instruments.dlib_resnet import CHIP_PX
from pipeline.instruments.mesh_reader import open_mesh_files
from pipeline.metrics.backends.dlib_resnet import DlibFaces
from pipeline.metrics.backends.efficientnet_lite0 import TRAINED_PX, Lite0
from pipeline.metrics.backends.mesh import Mesh
from pipeline.metrics.images import Images
from pipeline.metrics.protocols import Backend
from pipeline.metrics.readings import Readings
from pipeline.params.tree import load_params
from pipeline.puppet_training.stage import Stage

SIZE_PX, BATCH, PEOPLE = 256, 32, 16
HEADS = {name: Path(f"pipeline/puppets/assets/{name}.npz") for name in ("puppet", "puppet_face")}
PROFILE = Path("profiles/own.yaml")
CPU = torch.device("cpu")
Work = Callable[[], object]


def open_evaluation(assets: Path, folder: Path, pairs: int, repeats: int) -> dict[str, Any]:
    """Read every image of some pairs for all open metrics, each alone and all together, and the bare passes.

    Args:
        assets: folder of what `pwm assets fetch open` brings.
        folder: scratch.
        pairs: pairs of frames of 256 px; all images differ.
        repeats: measured turns.

    Returns:
        `runner` of the mesh, `pairs`, and `works`: name of each piece of work -> times, as `timing.spread` gives them.
    """
    fit = load_params(PROFILE).fit
    reader = open_mesh_files(assets / "blazeface.tflite", assets / "face_mesh.tflite", CPU)
    heads = {name: load_head(path) for name, path in HEADS.items()}
    points, mesh = Mesh(reader, {}, fit.min_score, None), Mesh(reader, heads, fit.min_score, fit.landmark_fit)
    dlib = DlibFaces(assets / "dlib_resnet.safetensors", mesh, CPU)
    lite0 = Lite0(assets / "efficientnet_lite0.safetensors", CPU)
    frames = faces(2 * pairs)
    images = Images.of(frames)

    def anew() -> Readings:
        return Readings(Path(tempfile.mkdtemp(dir=folder)), batch_size=BATCH)

    def reads(backend: Backend, reading: str) -> Work:
        return lambda: anew().read(backend, reading, images)

    def distances() -> None:
        for start in range(0, pairs, BATCH):
            rows = slice(start, min(start + BATCH, pairs))
            lite0.perceptual_distance(frames[:pairs][rows], frames[pairs:][rows])

    def all_metrics() -> None:
        readings = anew()
        readings.read(mesh, "landmarks_px", images)
        readings.read(mesh, "head_codes:puppet", images)
        readings.read(dlib, "embedding", images)
        readings.read(lite0, "pooled", images)
        distances()

    def passes(network: Callable[[Any], object], batch: Any) -> Work:
        return lambda: [network(batch[: min(BATCH, len(frames) - at)]) for at in range(0, len(frames), BATCH)]

    look = passes(reader.mesh, np.zeros((BATCH, *2 * [face_mesh.SIZE_PX], 3), np.float32))
    works: dict[str, Work] = {
        "AKD: mesh": reads(points, "landmarks_px"),
        "AKD, AED, APD: mesh and two heads": reads(mesh, "head_codes:puppet"),
        "AKD, AED, APD, CSIM: dlib_resnet on the mesh's points": reads(dlib, "embedding"),
        "FID, KID: efficientnet_lite0": reads(lite0, "pooled"),
        "feature distance: efficientnet_lite0": distances,
        "all metrics": all_metrics,
        "bare BlazeFace": passes(reader.detector, np.zeros((BATCH, *2 * [blazeface.SIZE_PX], 3), np.float32)),
        "bare mesh, twice": lambda: (look(), look()),
        "bare dlib ResNet": passes(dlib.net, _planes(CHIP_PX)),
        f"bare Lite0 at {TRAINED_PX} px": passes(lite0.net.pooled, _planes(TRAINED_PX)),
        f"bare Lite0 at {SIZE_PX} px": passes(lite0.net.features, _planes(SIZE_PX)),
    }
    with torch.inference_mode():
        times = in_turns(list(works.values()), "cpu", repeats, 900.0, warm_up=0, fewest=1)
    found = {name: spread(taken, len(frames)) for name, taken in zip(works, times, strict=True)}
    return {"runner": reader.mesh.name, "pairs": pairs, "works": found}


def faces(count: int) -> np.ndarray:
    """Frames (count, 256, 256, 3) uint8 of rendered heads, which the mesh finds; no two are equal."""
    stage = Stage(load_head(HEADS["puppet"]), SIZE_PX)
    known = stage.film(stage.scene(17, PEOPLE, 2))
    rng = np.random.default_rng(0)
    frames = known[np.arange(count) % len(known)].astype(np.int16)
    return (frames + rng.integers(-3, 4, (count, 1, 1, 3))).clip(0, 255).astype(np.uint8) ^ _marks(count)


def _marks(count: int) -> np.ndarray:
    """A number in the lowest bits of each frame's corner, so that copies of a render differ."""
    marks = np.zeros((count, SIZE_PX, SIZE_PX, 3), np.uint8)
    marks[:, 0, :16, 0] = np.arange(count)[:, None] >> np.arange(16) & 1
    return marks


def _planes(side: int) -> torch.Tensor:
    return torch.rand(BATCH, 3, side, side).contiguous(memory_format=torch.channels_last)
