"""Deep3DFaceRecon's regressor: the crop of a face -> codes, angles and translation of the Basel Face Model.

Source: sicxu/Deep3DFaceRecon_pytorch at 9167c71, models/networks.py (layers, hence the names of tensors) and
models/bfm.py (order and meaning of the coefficients). Texture and light have no part in the paper; they are read and
not used.

Legend: B batch.
Convention: RGB in [0, 1], 224 px, no mean taken off. Angles are about x, y and z in radians, as
`model.heads.rotation.euler_to_matrix` takes them; the translation is `model.heads.camera.deep3d_perspective`'s camera.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from model.heads.fit import HeadFit
from model.trackers.resnet import FEATURES, check_crops, resnet50_trunk

NUM_SHAPE, NUM_EXPRESSION = 80, 64


class Deep3dCodes(NamedTuple):
    """What the regressor gives, in its order.

    Attributes: shape (B, 80), expression (B, 64), texture (B, 80), angles (B, 3), light (B, 27), nine spherical
    harmonics of three channels, and translation (B, 3) in decimetres.
    """

    shape: Tensor
    expression: Tensor
    texture: Tensor
    angles: Tensor
    light: Tensor
    translation: Tensor


SIZES = (NUM_SHAPE, NUM_EXPRESSION, 80, 3, 27, 3)  # of `Deep3dCodes`
LAYERS = (*SIZES[:-1], 2, 1)  # x and y of the translation have a layer, z has its own


class Deep3dRegressor(nn.Module):
    """net_recon: ResNet-50, then seven 1x1 convolutions side by side. Its state dict is the release's."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = resnet50_trunk()
        self.final_layers = nn.ModuleList(nn.Conv2d(FEATURES, outputs, 1) for outputs in LAYERS)

    def forward(self, img: Tensor) -> Tensor:
        """Crops (B, 3, 224, 224) in [0, 1] -> coefficients (B, 257)."""
        check_crops(img)
        pooled = self.backbone(img)[:, :, None, None]
        return torch.cat([layer(pooled) for layer in self.final_layers], 1).flatten(1)


def split(coefficients: Tensor) -> Deep3dCodes:
    """Split coefficients (B, 257)."""
    return Deep3dCodes(*coefficients.split(list(SIZES), dim=1))


def to_fit(coefficients: Tensor, tracker_map: Tensor) -> HeadFit:
    """Turn coefficients (B, 257) into a fit of the Basel face.

    Args:
        coefficients: of the regressor.
        tracker_map: (B, 6) from the crop's ndc to the clip frame's.
    """
    codes = split(coefficients)
    return HeadFit(codes.shape, codes.expression, codes.angles, codes.translation, tracker_map.to(coefficients))
