"""A batch of fitted heads: the codes, pose and camera that place a mesh in its clip's frame."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class HeadFit:
    """Parameters of B fitted heads, one a frame.

    Attributes:
        shape: identity codes beta (B, S).
        expression: expression codes psi (B, E).
        pose: joint rotations theta (B, 3J), root first, radians in the head's own parametrisation.
        camera: camera parameters (B, C) in the tracker's frame (model/heads/camera.py).
        tracker_map: (B, 6) row-major 2x3 map from the tracker frame's ndc to the clip frame's ndc.
    """

    shape: Tensor
    expression: Tensor
    pose: Tensor
    camera: Tensor
    tracker_map: Tensor

    def __len__(self) -> int:
        return self.shape.shape[0]

    def __getitem__(self, index: slice | Tensor | Sequence[int]) -> "HeadFit":
        """Select rows; an integer is refused, because every field keeps its batch axis."""
        if isinstance(index, int):
            raise TypeError("HeadFit: select rows by slice, list or tensor, so that the batch axis stays")
        return HeadFit(*(getattr(self, f.name)[index] for f in fields(self)))

    def to(self, *args: object) -> "HeadFit":
        """Move or cast every field, as `Tensor.to` does."""
        return HeadFit(*(getattr(self, f.name).to(*args) for f in fields(self)))

    def replace(self, **changes: Tensor) -> "HeadFit":
        """Return a copy with some fields exchanged."""
        return replace(self, **changes)

    @staticmethod
    def cat(fits: Sequence["HeadFit"]) -> "HeadFit":
        """Join several batches along the batch axis."""
        return HeadFit(*(torch.cat([getattr(one, f.name) for one in fits]) for f in fields(HeadFit)))
