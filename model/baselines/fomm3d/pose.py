"""3D-FOMM's pose: the network that reads it off an image, and what it does to the canonical keypoints.

Source: zhanglonghao1992/One-Shot_Free-View_Neural_Talking_Head_Synthesis at 9511d25, modules/keypoint_detector.py
(`HEEstimator`) and demo.py (degrees, rotation, keypoints).

Legend: B batch, K keypoints.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.baselines.shared.keypoints import Keypoints
from model.method.precision import wide

NUM_BINS = 66
BIN_DEG, LOWEST_DEG = 3, -99
PUBLISHED_PI = 3.14  # Quirk kept: the weights were trained with it


class Pose(NamedTuple):
    """What the estimator says of a face.

    Attributes: logits (B, 66) over bins of 3 degrees for yaw, pitch and roll, t (B, 3) the translation and exp (B, 3K)
    every keypoint's offset by the expression, both in the keypoints' units.
    """

    yaw: Tensor
    pitch: Tensor
    roll: Tensor
    t: Tensor
    exp: Tensor


class PoseEstimator(nn.Module):
    """A ResNet-50 of its own kind with five heads. `width` is that of its first convolution."""

    def __init__(self, num_kp: int, width: int) -> None:
        super().__init__()
        channels = [width, 4 * width, 8 * width, 16 * width, 32 * width]
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3)
        self.norm1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.conv2, self.norm2 = _widen(channels[0], channels[1])
        self.conv3, self.norm3 = _widen(channels[1], channels[2])
        self.conv4, self.norm4 = _widen(channels[2], channels[3])
        self.conv5, self.norm5 = _widen(channels[3], channels[4])
        self.block1 = _bottlenecks("b1", 3, channels[1])
        self.block2 = Bottleneck(channels[2], 2)
        self.block3 = _bottlenecks("b3", 3, channels[2])
        self.block4 = Bottleneck(channels[3], 2)
        self.block5 = _bottlenecks("b5", 5, channels[3])
        self.block6 = Bottleneck(channels[4], 2)
        self.block7 = _bottlenecks("b7", 2, channels[4])
        self.fc_roll, self.fc_pitch, self.fc_yaw = (nn.Linear(channels[4], NUM_BINS) for _ in range(3))
        self.fc_t = nn.Linear(channels[4], 3)
        self.fc_exp = nn.Linear(channels[4], 3 * num_kp)

    def forward(self, img: Tensor) -> Pose:
        """Read images (B, 3, H, W) in [0, 1]."""
        feat = self.maxpool(F.relu(self.norm1(self.conv1(img))))
        feat = self.block1(F.relu(self.norm2(self.conv2(feat))))
        feat = self.block3(self.block2(F.relu(self.norm3(self.conv3(feat)))))
        feat = self.block5(self.block4(F.relu(self.norm4(self.conv4(feat)))))
        feat = self.block7(self.block6(F.relu(self.norm5(self.conv5(feat)))))
        face = feat.mean((2, 3))
        # Quirk kept: yaw is what the layer named roll computes, and the other way round.
        return Pose(self.fc_roll(face), self.fc_pitch(face), self.fc_yaw(face), self.fc_t(face), self.fc_exp(face))


class Bottleneck(nn.Module):
    """ResNet's, with biases; with a stride the other way has a convolution and a norm."""

    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__()
        inner = channels // 4
        self.conv1, self.norm1 = nn.Conv2d(channels, inner, 1), nn.BatchNorm2d(inner)
        self.conv2, self.norm2 = nn.Conv2d(inner, inner, 3, stride=stride, padding=1), nn.BatchNorm2d(inner)
        self.conv3, self.norm3 = nn.Conv2d(inner, channels, 1), nn.BatchNorm2d(channels)
        self.skip = nn.Conv2d(channels, channels, 1, stride=stride) if stride != 1 else nn.Identity()
        self.norm4 = nn.BatchNorm2d(channels) if stride != 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Divide height and width by the stride."""
        inner = F.relu(self.norm1(self.conv1(x)))
        inner = F.relu(self.norm2(self.conv2(inner)))
        return F.relu(self.norm3(self.conv3(inner)) + self.norm4(self.skip(x)))


def _widen(inputs: int, outputs: int) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(inputs, outputs, 1), nn.BatchNorm2d(outputs)


def _bottlenecks(prefix: str, count: int, channels: int) -> nn.Sequential:
    blocks = nn.Sequential()
    for i in range(count):
        blocks.add_module(f"{prefix}_{i}", Bottleneck(channels))
    return blocks


def to_degrees(logits: Tensor) -> Tensor:
    """Mean angle (B,) under the softmax of logits (B, 66): -99 to 96 degrees."""
    logits = wide(logits)
    bins = torch.arange(NUM_BINS, device=logits.device, dtype=logits.dtype)
    return BIN_DEG * (F.softmax(logits, 1) * bins).sum(1) + LOWEST_DEG


def rotation(yaw_deg: Tensor, pitch_deg: Tensor, roll_deg: Tensor) -> Tensor:
    """Rotations (B, 3, 3) of column vectors: about z by roll, then about y by yaw, then about x by pitch."""
    about_x, about_y, about_z = (
        _about(axis, angle / 180 * PUBLISHED_PI) for axis, angle in enumerate((pitch_deg, yaw_deg, roll_deg))
    )
    return _turned(about_x, _turned(about_y, about_z))


def angles_deg(rotation: Tensor) -> Tensor:
    """Yaw, pitch and roll (B, 3) in degrees of rotations (B, 3, 3) of column vectors; |yaw| <= 90. See `rotation`."""
    yaw = torch.asin(rotation[:, 0, 2].clamp(-1, 1))
    pitch = torch.atan2(-rotation[:, 1, 2], rotation[:, 2, 2])
    roll = torch.atan2(-rotation[:, 0, 1], rotation[:, 0, 0])
    return torch.stack([yaw, pitch, roll], 1).rad2deg()


def _about(axis: int, angle: Tensor) -> Tensor:
    """Right-handed rotations (B, 3, 3) about x, y or z by angles (B,)."""
    cos, sin, zero, one = torch.cos(angle), torch.sin(angle), torch.zeros_like(angle), torch.ones_like(angle)
    rows = {
        0: (one, zero, zero, zero, cos, -sin, zero, sin, cos),
        1: (cos, zero, sin, zero, one, zero, -sin, zero, cos),
        2: (cos, -sin, zero, sin, cos, zero, zero, zero, one),
    }
    return torch.stack(rows[axis], 1).unflatten(1, (3, 3))


def _turned(turn: Tensor, columns: Tensor) -> Tensor:
    """Turn (B, 3, 3) columns (B, 3, N). Not multiplied as matrices: autocast would narrow positions to eight bits."""
    return (turn[..., None] * columns[:, None]).sum(2)


def place(canonical: Keypoints, pose: Pose) -> Keypoints:
    """Turn and move the canonical keypoints (B, K, 3) and add the expression."""
    turn = rotation(to_degrees(pose.yaw), to_degrees(pose.pitch), to_degrees(pose.roll))
    turned = _turned(turn, canonical.value.transpose(1, 2)).transpose(1, 2)
    return Keypoints(turned + wide(pose.t)[:, None] + wide(pose.exp).unflatten(1, (-1, 3)))
