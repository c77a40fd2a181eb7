"""Faces that need no network: a bright disc is a face, and stand-ins for the networks see exactly where it lies."""

from pathlib import Path

import numpy as np
import torch

from model.instruments import blazeface
from model.instruments.face_mesh import NUM_POINTS
from pipeline.instruments.mesh_reader import EYE_CORNERS, MeshReader

_RNG = np.random.default_rng(0)
SHAPE = _RNG.uniform(-1, 1, (NUM_POINTS, 3))  # points on a disc of radius 1
SHAPE[[EYE_CORNERS[0], EYE_CORNERS[1]]] = [[-0.6, -0.2, 0], [0.6, -0.2, 0]]
SHAPE[0], SHAPE[1], SHAPE[2], SHAPE[3] = [-1, 0, 0], [1, 0, 0], [0, -1, 0], [0, 1, 0]


def picture(size_hw: tuple[int, int], centre_px: tuple[float, float] | None, radius_px: float) -> np.ndarray:
    """(H, W, 3) uint8 with a disc whose rim is as soft as a pixel; black without a centre."""
    y, x = np.mgrid[: size_hw[0], : size_hw[1]] + 0.5
    if centre_px is None:
        return np.zeros((*size_hw, 3), np.uint8)
    away = np.hypot(x - centre_px[0], y - centre_px[1])
    return np.repeat((np.clip(radius_px - away + 0.5, 0, 1) * 255).round().astype(np.uint8)[..., None], 3, 2)


def _disc(image: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre and radius of what is bright in a picture (S, S, 3), 0 to 1."""
    light = image.mean(-1).astype(np.float64)
    y, x = np.mgrid[: len(light), : len(light)] + 0.5
    centre = np.array([(x * light).sum(), (y * light).sum()]) / light.sum()
    return centre, float(np.sqrt(light.sum() / np.pi))


class DiscDetector:
    """Stands for BlazeFace."""

    name = "disc"

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert images.shape[1:] == (128, 128, 3)
        assert images.dtype == np.float32
        raw = np.zeros((len(images), 896, 16), np.float32)
        logits = np.full((len(images), 896), -9.0, np.float32)
        for row, image in enumerate((images + 1) / 2):
            if image.max() < 0.5:
                continue
            (centre, radius), logits[row, 400] = _disc(image), 3.0
            off = centre - blazeface.anchors()[400]
            raw[row, 400] = [*off, 2 * radius, 2 * radius, *np.tile(off, 6)]
            raw[row, 400, 4:8] += [-radius / 2, 0, radius / 2, 0]  # eyes
        return raw.reshape(len(images), -1), logits


class DiscMesh:
    """Stands for the mesh: it sees a disc whose centre lies in the picture; `calls` counts pictures."""

    name = "disc"

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert images.shape[1:] == (192, 192, 3)
        assert images.min() >= 0 <= images.max() <= 1
        self.calls += len(images)
        points = np.zeros((len(images), NUM_POINTS, 3), np.float32)
        logit = np.full((len(images), 1), -9.0, np.float32)
        for row, image in enumerate(images):
            if image.max() > 0.5:
                centre, radius = _disc(image)
                points[row], logit[row] = SHAPE * radius + [*centre, 0], 9.0
        return points.reshape(len(images), -1), logit


def disc_reader() -> MeshReader:
    """A reader of discs."""
    files = (Path(blazeface.__file__), Path(__file__))  # any two, for the fingerprint
    return MeshReader(DiscDetector(), DiscMesh(), files, torch.device("cpu"))
