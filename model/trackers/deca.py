"""DECA's coarse encoder: the crop of a face -> FLAME's codes, pose and camera (paper section 3.1).

Source: yfeng95/DECA at a11554a, decalib/models/encoders.py (layers, hence the names of tensors) and decalib/deca.py
(order of the codes). Its detail branch, texture and light have no part in the paper; they are read and not used.

Legend: B batch, beta shape, psi expression, theta pose.
Convention: RGB in [0, 1], 224 px, no mean taken off. The pose is axis-angle, radians; the camera (scale, tx, ty) is
`model.heads.camera.scaled_orthographic`'s, in DECA's [-1, 1] of the crop.
"""

from typing import NamedTuple

from torch import Tensor, nn

from model.heads.fit import HeadFit
from model.heads.head import HeadModel
from model.trackers.resnet import FEATURES, check_crops, resnet50_trunk

HIDDEN = 1024
NUM_SHAPE, NUM_EXPRESSION = 100, 50


class DecaCodes(NamedTuple):
    """What the encoder regresses, in its order.

    Attributes: shape (B, 100), texture (B, 50), expression (B, 50), pose (B, 6) of the root and the jaw, camera (B, 3)
    and light (B, 27), nine spherical harmonics of three channels.
    """

    shape: Tensor
    texture: Tensor
    expression: Tensor
    pose: Tensor
    camera: Tensor
    light: Tensor


SIZES = (NUM_SHAPE, 50, NUM_EXPRESSION, 6, 3, 27)  # of `DecaCodes`


class DecaEncoder(nn.Module):
    """E_flame: ResNet-50, then two linear layers. Its state dict is the release's."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = resnet50_trunk()
        self.layers = nn.Sequential(nn.Linear(FEATURES, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, sum(SIZES)))

    def forward(self, img: Tensor) -> Tensor:
        """Crops (B, 3, 224, 224) in [0, 1] -> parameters (B, 236)."""
        check_crops(img)
        return self.layers(self.encoder(img))


def split(parameters: Tensor) -> DecaCodes:
    """Split parameters (B, 236)."""
    return DecaCodes(*parameters.split(list(SIZES), dim=1))


def to_fit(parameters: Tensor, head: HeadModel, tracker_map: Tensor) -> HeadFit:
    """Turn parameters (B, 236) into a fit of FLAME: neck and eyes, which DECA does not see, stay at rest.

    Args:
        parameters: of the encoder.
        head: FLAME as this project imports it, with the components that DECA knows.
        tracker_map: (B, 6) from DECA's [-1, 1] to the clip frame's ndc.
    """
    codes = split(parameters)
    jaw = 3 * head.arrays.joint_names.tolist().index("jaw")
    pose = parameters.new_zeros(len(parameters), head.num_pose)
    pose[:, :3], pose[:, jaw : jaw + 3] = codes.pose[:, :3], codes.pose[:, 3:]
    return HeadFit(codes.shape, codes.expression, pose, codes.camera, tracker_map.to(parameters))
