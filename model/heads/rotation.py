"""Rotations of the head: axis-angle, Euler angles and their signs.

Convention (head frame: x to the viewer's right, y up, z towards the viewer):
R = Rz(roll) @ Ry(yaw) @ Rx(pitch). yaw > 0 turns the face to the viewer's right, pitch > 0 looks
down, roll > 0 turns counter-clockwise as the viewer sees it.
"""

import torch
from torch import Tensor


def axis_angle_to_matrix(axis_angle: Tensor) -> Tensor:
    """Rodrigues' formula, (..., 3) radians -> (..., 3, 3), smooth through zero."""
    angle2 = (axis_angle**2).sum(-1)[..., None, None]
    small = angle2 < 1e-8
    safe2 = torch.where(small, torch.ones_like(angle2), angle2)
    angle = safe2.sqrt()
    sine = torch.where(small, 1.0 - angle2 / 6.0, torch.sin(angle) / angle)
    cosine = torch.where(small, 0.5 - angle2 / 24.0, (1.0 - torch.cos(angle)) / safe2)
    x, y, z = axis_angle.unbind(-1)
    zero = torch.zeros_like(x)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*x.shape, 3, 3)
    eye = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    return eye + sine * skew + cosine * (skew @ skew)


def matrix_to_axis_angle(matrix: Tensor) -> Tensor:
    """Logarithm of rotations (..., 3, 3) -> (..., 3) radians, for angles below pi - 1e-3."""
    vee = torch.stack(
        [
            matrix[..., 2, 1] - matrix[..., 1, 2],
            matrix[..., 0, 2] - matrix[..., 2, 0],
            matrix[..., 1, 0] - matrix[..., 0, 1],
        ],
        -1,
    )
    sine = 0.5 * vee.norm(dim=-1)
    cosine = 0.5 * (matrix.diagonal(dim1=-2, dim2=-1).sum(-1) - 1.0)
    angle = torch.atan2(sine, cosine)
    factor = torch.where(sine < 1e-6, torch.full_like(sine, 0.5), 0.5 * angle / sine.clamp_min(1e-6))
    return vee * factor[..., None]


def _axis_matrix(axis: int, angle: Tensor) -> Tensor:
    unit = torch.zeros(3, dtype=angle.dtype, device=angle.device)
    unit[axis] = 1.0
    return axis_angle_to_matrix(angle[..., None] * unit)


def euler_to_matrix(pitch_yaw_roll_rad: Tensor) -> Tensor:
    """(..., 3) angles about x, y, z -> R = Rz(roll) @ Ry(yaw) @ Rx(pitch), (..., 3, 3)."""
    pitch, yaw, roll = pitch_yaw_roll_rad.unbind(-1)
    return _axis_matrix(2, roll) @ _axis_matrix(1, yaw) @ _axis_matrix(0, pitch)


def matrix_to_yaw_pitch_roll(matrix: Tensor) -> Tensor:
    """(..., 3, 3) -> (..., 3) radians in the order yaw, pitch, roll; |yaw| <= pi / 2."""
    yaw = torch.asin((-matrix[..., 2, 0]).clamp(-1.0, 1.0))
    pitch = torch.atan2(matrix[..., 2, 1], matrix[..., 2, 2])
    roll = torch.atan2(matrix[..., 1, 0], matrix[..., 0, 0])
    return torch.stack([yaw, pitch, roll], -1)
