"""MediaPipe's face mesh: 468 points on a face, and whether there is one, from 192 px.

Source: Kartynnik et al., Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs (2019); the released
file face_landmark.tflite of mediapipe 0.10.21 (without attention to eyes and lips).
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from model.instruments.mobile_blocks import DepthwiseBlock, Place, SameConv, conv_places, converted

SIZE_PX = 192
NUM_POINTS = 468
_TRUNK = (16, 16, 32, 32, 32, 64, 64, 64, 128, 128, 128, 128, 128, 128)  # outputs of the blocks that all share
_NARROW = 32
_EVERY_THIRD = 3  # a block of these halves the map


class FaceMesh(nn.Module):
    """The network. State: the tensors of the released file, under names that say what they are."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(SameConv(3, _TRUNK[0], 3, stride=2), nn.PReLU(_TRUNK[0]))
        self.trunk = nn.Sequential(
            *(
                _block(inputs, outputs, strided=(number + 1) % _EVERY_THIRD == 0)
                for number, (inputs, outputs) in enumerate(zip((_TRUNK[0], *_TRUNK), _TRUNK, strict=False))
            )
        )
        wide = _TRUNK[-1]
        self.to_points = nn.Sequential(
            _block(wide, wide, strided=True),
            _block(wide, wide),
            _block(wide, wide),
            *_narrowed(wide),
            nn.Conv2d(_NARROW, 3 * NUM_POINTS, 3),
        )
        self.to_presence = nn.Sequential(_block(wide, wide, strided=True), *_narrowed(wide), nn.Conv2d(_NARROW, 1, 3))

    def forward(self, img: Tensor) -> tuple[Tensor, Tensor]:
        """Look at faces (B, 3, 192, 192), RGB in [0, 1], upright and in the middle.

        Returns:
            Points (B, 468, 3): x and y in px of the image, edge-aligned, z in px of the same scale, towards the
            camera negative; and the logit of the face's presence (B,).
        """
        x = self.trunk(self.stem(img))
        return self.to_points(x).flatten(1).unflatten(1, (NUM_POINTS, 3)), self.to_presence(x).flatten()


def places() -> list[Place]:
    """Where each tensor of the network lies in the released file."""
    found = [*conv_places("stem.0", "conv2d_1"), ("stem.1.weight", "p_re_lu_1/Alpha")]
    for number in range(len(_TRUNK)):
        found += _block_places(f"trunk.{number}", number + 1)
    for number in range(3):
        found += _block_places(f"to_points.{number}", number + 15)
    found += [*conv_places("to_points.3", "conv2d_19"), ("to_points.4.weight", "p_re_lu_19/Alpha")]
    found += _block_places("to_points.5", 18, conv=20)
    found += conv_places("to_points.6", "conv2d_21")
    found += _block_places("to_presence.0", 23, conv=28, slope=26)
    found += [*conv_places("to_presence.1", "conv2d_29"), ("to_presence.2.weight", "p_re_lu_27/Alpha")]
    found += _block_places("to_presence.3", 24, conv=30, slope=28)
    found += conv_places("to_presence.4", "conv2d_31")
    return found


def convert(path: Path) -> dict[str, Tensor]:
    """Read the network's state from the released .tflite file.

    Raises:
        FileNotFoundError, ValueError: there is no such file, or it is another one; the message says what differs.
    """
    return converted(path, "MediaPipe's face mesh of 468 points", FaceMesh(), places())


def presence(logit: Tensor) -> Tensor:
    """How sure the network is of a face, 0 to 1."""
    return torch.sigmoid(logit)


def _block(inputs: int, outputs: int, strided: bool = False) -> DepthwiseBlock:
    return DepthwiseBlock(inputs, outputs, 2 if strided else 1, nn.PReLU(outputs))


def _narrowed(wide: int) -> tuple[nn.Module, ...]:
    return SameConv(wide, _NARROW, 1), nn.PReLU(_NARROW), _block(_NARROW, _NARROW)


def _block_places(ours: str, depthwise: int, conv: int = 0, slope: int = 0) -> list[Place]:
    """Places of a block by its layers' numbers in the file; along the trunk they run in step."""
    conv = conv or depthwise + 1
    return [
        *conv_places(f"{ours}.depthwise", f"depthwise_conv2d_{depthwise}"),
        *conv_places(f"{ours}.pointwise", f"conv2d_{conv}"),
        (f"{ours}.act.weight", f"p_re_lu_{slope or conv}/Alpha"),
    ]
