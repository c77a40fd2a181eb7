"""The networks' training set: puppet crops of people of no corpus, rendered once to a folder."""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from model.heads.fit import HeadFit


@dataclass(frozen=True)
class Crops:
    """N crops with their truth.

    Attributes:
        pixels: (N, 3, H, W) uint8, possibly a memory map.
        landmarks_ndc: (N, 68, 2) float32.
        person: (N,) int64, equal for crops of one person.
        fits: true codes of every crop, by head name.
    """

    pixels: np.ndarray
    landmarks_ndc: Tensor
    person: Tensor
    fits: dict[str, HeadFit]

    def __len__(self) -> int:
        return len(self.pixels)

    def images(self, rows: Tensor) -> Tensor:
        """(B, 3, H, W) uint8 of the given rows."""
        return torch.from_numpy(self.pixels[rows.numpy()])
