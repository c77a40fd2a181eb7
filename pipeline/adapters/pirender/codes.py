"""PIRender's driving signal where it is trained here: numbers a frame of fits with the head that it is trained with.

Convention: of one frame, expression, pose and camera as the head has them, then where the tracker looked: scale, x and
y of the map from the tracker's frame to the clip's, in ndc. Of Deep3DFaceRecon's fits of the Basel face these are the
73 numbers that the release is driven by, the crop in ndc instead of px.
"""

import torch
from torch import Tensor

from model.heads.fit import HeadFit
from model.heads.head import HeadModel

CROP = 3  # scale, x, y: the last of the numbers


def num_codes(head: HeadModel) -> int:
    """How many numbers a frame has."""
    return head.num_expression + head.num_pose + head.num_camera + CROP


def codes(fit: HeadFit) -> Tensor:
    """The numbers (N, `num_codes`) of N fitted frames. Shape is not among them: the source has its own."""
    matrix = fit.tracker_map.unflatten(1, (2, 3))
    scale = torch.linalg.det(matrix[:, :, :2]).abs().sqrt()
    return torch.cat([fit.expression, fit.pose, fit.camera, scale[:, None], matrix[:, :, 2]], 1)
