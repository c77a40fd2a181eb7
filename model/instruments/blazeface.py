"""BlazeFace, short range: faces of an image, each a box and six points, from 128 px.

Source: Bazarevsky et al., BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs (2019); the released file
face_detection_short_range.tflite of mediapipe 0.10.21, its modules/face_detection/face_detection.pbtxt (anchors,
thresholds) and util's non_max_suppression_calculator.cc (weighted suppression).

Legend: A = 896 anchors, two on every cell of a 16 x 16 grid, then six on every cell of an 8 x 8 grid.
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from model.instruments.mobile_blocks import DepthwiseBlock, Place, SameConv, conv_places, converted

SIZE_PX = 128
MIN_SCORE = 0.5
_OVERLAP = 0.3  # of two boxes that are of one face
_WIDTHS = (24, 24, 28, 32, 36, 42, 48, 56, 64, 72, 80, 88, 96, 96, 96, 96, 96)  # of the stem, then of every block
_STRIDED = (2, 5, 11)  # blocks that halve the map
_FINE = 10  # the block whose map is the 16 x 16 grid
_GRIDS = ((16, 2), (8, 6))  # cells a side, anchors a cell
_NUMBERS = 16  # an anchor's: centre, sides and six points, x and y each


class BlazeFace(nn.Module):
    """The network. State: the tensors of the released file, under names that say what they are."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(SameConv(3, _WIDTHS[0], 5, stride=2), nn.ReLU())
        self.blocks = nn.ModuleList(
            DepthwiseBlock(inputs, outputs, 2 if number in _STRIDED else 1, nn.ReLU())
            for number, (inputs, outputs) in enumerate(pairwise(_WIDTHS))
        )
        widths = (_WIDTHS[_FINE + 1], _WIDTHS[-1])
        self.scores = nn.ModuleList(SameConv(c, n, 1) for c, (_, n) in zip(widths, _GRIDS, strict=True))
        self.places = nn.ModuleList(SameConv(c, n * _NUMBERS, 1) for c, (_, n) in zip(widths, _GRIDS, strict=True))

    def forward(self, img: Tensor) -> tuple[Tensor, Tensor]:
        """Look at images (B, 3, 128, 128), RGB in [-1, 1].

        Returns:
            For every anchor the numbers of its face, px from the anchor, (B, A, 16), and its score's logit (B, A).
        """
        x, maps = self.stem(img), []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number == _FINE:
                maps.append(x)
        maps.append(x)
        raw = [_by_anchor(head(m), _NUMBERS) for head, m in zip(self.places, maps, strict=True)]
        logits = [_by_anchor(head(m), 1) for head, m in zip(self.scores, maps, strict=True)]
        return torch.cat(raw, 1), torch.cat(logits, 1)[..., 0]


@dataclass(frozen=True)
class FoundFaces:
    """The faces of one image, surest first; px, edge-aligned.

    Attributes:
        low, high: (N, 2) corners of the boxes.
        points: (N, 6, 2) the person's right and left eye, nose, mouth, right and left ear.
        score: (N,) 0 to 1.
    """

    low: np.ndarray
    high: np.ndarray
    points: np.ndarray
    score: np.ndarray

    def placed(self, to_image: np.ndarray) -> "FoundFaces":
        """Carry them to another image by a map (2, 3) that does not turn."""
        linear, shift = to_image[:, :2].T, to_image[:, 2]
        return FoundFaces(
            self.low @ linear + shift, self.high @ linear + shift, self.points @ linear + shift, self.score
        )


def places() -> list[Place]:
    """Where each tensor of the network lies in the released file."""
    found = conv_places("stem.0", "conv2d")
    for number in range(len(_WIDTHS) - 1):
        found += _block_places(number)
    for number, name in enumerate(("8", "16")):
        found += conv_places(f"scores.{number}", f"classificator_{name}")
        found += conv_places(f"places.{number}", f"regressor_{name}")
    return found


def convert(path: Path) -> dict[str, Tensor]:
    """Read the network's state from the released .tflite file.

    Raises:
        FileNotFoundError, ValueError: there is no such file, or it is another one; the message says what differs.
    """
    return converted(path, "MediaPipe's short-range BlazeFace", BlazeFace(), places())


def anchors() -> np.ndarray:
    """Centres of the anchors, px of the 128 px image, (A, 2), in the order of the network's outputs."""
    parts = []
    for cells, count in _GRIDS:
        centre = (np.arange(cells) + 0.5) * (SIZE_PX / cells)
        y, x = np.meshgrid(centre, centre, indexing="ij")
        parts.append(np.stack([x, y], -1).reshape(-1, 2).repeat(count, 0))
    return np.concatenate(parts)


def decode(raw: np.ndarray, logits: np.ndarray, min_score: float = MIN_SCORE) -> FoundFaces:
    """Turn what the network says of one image, (A, 16) and (A,), into its faces, px of the 128 px image.

    Boxes that overlap a surer one are of the same face: their mean, weighted by score, stands for it.
    """
    score = 1.0 / (1.0 + np.exp(-np.clip(logits.astype(np.float64), -100.0, 100.0)))
    kept = np.flatnonzero(score >= min_score)
    kept = kept[np.argsort(-score[kept], kind="stable")]
    numbers = raw[kept].astype(np.float64).reshape(-1, _NUMBERS // 2, 2)
    centre, half = numbers[:, 0] + anchors()[kept], numbers[:, 1] / 2
    points = numbers[:, 2:] + anchors()[kept][:, None]
    return _merged(np.concatenate([(centre - half)[:, None], (centre + half)[:, None], points], 1), score[kept])


def _merged(faces: np.ndarray, score: np.ndarray) -> FoundFaces:
    """Weighted suppression of faces (N, 8, 2): corners, then points, in the order of their scores (N,)."""
    means, best = [], []
    while len(score):
        same = _overlap(faces[0], faces) > _OVERLAP
        same[0] = True
        weight = score[same] / score[same].sum()
        means.append((faces[same] * weight[:, None, None]).sum(0))
        best.append(score[0])
        faces, score = faces[~same], score[~same]
    found = np.array(means).reshape(-1, 8, 2)
    return FoundFaces(found[:, 0], found[:, 1], found[:, 2:], np.array(best))


def _overlap(face: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of a face's box with those of others."""
    shared = np.clip(np.minimum(face[1], others[:, 1]) - np.maximum(face[0], others[:, 0]), 0.0, None).prod(1)
    area = np.clip(others[:, 1] - others[:, 0], 0.0, None).prod(1)
    union = area + np.clip(face[1] - face[0], 0.0, None).prod() - shared
    return shared / np.maximum(union, 1e-12)


def _by_anchor(x: Tensor, numbers: int) -> Tensor:
    """(B, n * numbers, h, w) -> (B, h * w * n, numbers)."""
    return x.permute(0, 2, 3, 1).reshape(len(x), -1, numbers)


def _block_places(number: int) -> list[Place]:
    depthwise = f"depthwise_conv2d_{number}" if number else "depthwise_conv2d"
    return [
        *conv_places(f"blocks.{number}.depthwise", depthwise),
        *conv_places(f"blocks.{number}.pointwise", f"conv2d_{number + 1}"),
    ]
