"""Which contour landmarks a turned head shows: FLAME's contour slides over the mesh with the head's yaw."""

import math

import torch
from torch import Tensor

CONTOUR_YAWS = 79  # rows: yaw 0..39 degrees, then -1..-39 degrees
CONTOUR_POINTS = 17
_LAST_DEG = 39


def contour_rows(rotation: Tensor) -> Tensor:
    """Row of the yaw-dependent contour that belongs to each head rotation.

    Convention (DECA, decalib/models/FLAME.py): the yaw is asin(-R[2, 0]) of the head's rotation in degrees,
    the root's and the neck's together, capped at 39 from above only, then rounded half to even. Row = yaw
    where it is not negative, 39 - yaw down to -39, and 78 beyond: -0.4 degrees give 0, -1 gives 40. FLAME_PyTorch
    and smplx look up the opposite yaw; DECA's sign is kept, because its embedding and its fits belong together.

    Args:
        rotation: (B, 3, 3), neck included, as from `HeadModel.contour_rotation`. One that is not finite gives row 0,
            so that a diverged fit has landmarks, which are not finite either, and not an index error.

    Returns:
        (B,) int64 in 0..78; no gradient.
    """
    with torch.no_grad():
        yaw_rad = torch.atan2(-rotation[:, 2, 0], (rotation[:, 0, 0] ** 2 + rotation[:, 1, 0] ** 2).sqrt())
        yaw_deg = torch.round((yaw_rad * (180.0 / math.pi)).nan_to_num(0.0).clamp(max=_LAST_DEG)).long()
        return torch.where(yaw_deg < 0, (_LAST_DEG - yaw_deg).clamp(max=CONTOUR_YAWS - 1), yaw_deg)
