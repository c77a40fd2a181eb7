"""What 3D-FOMM's keypoints and poses are taught without an image: spread, depth, head pose, small expressions.

Source: zhanglonghao1992/One-Shot_Free-View_Neural_Talking_Head_Synthesis at 9511d25, modules/model.py, which follows
Wang, Mallya, Liu, appendix A (keypoint prior, head pose, deformation prior).

Legend: B batch, K keypoints.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from model.baselines.fomm3d.pose import Pose, to_degrees
from model.method.precision import wide

NEAREST_SQUARED = 0.1  # D_t: squared distance that two keypoints should have
MEAN_DEPTH = 0.33  # z_t: where keypoints should lie on average


def keypoint_prior(points: Tensor) -> Tensor:
    """How crowded the keypoints (B, K, 3) are, plus how far their mean depth is off: a scalar.

    Quirk kept: the sum goes over all K * K ordered pairs, so that a keypoint's distance to itself adds a constant.
    """
    points = wide(points)
    squared = (points[:, :, None] - points[:, None]).square().sum(-1)  # (B, K, K)
    crowded = F.relu(NEAREST_SQUARED - squared).sum((1, 2)).mean()
    return crowded + (points[..., 2].mean(1) - MEAN_DEPTH).abs().mean()


def head_pose_error(pose: Pose, angles_deg: Tensor) -> Tensor:
    """Mean absolute error, summed over the three angles, of a pose against yaw, pitch and roll (B, 3) in degrees."""
    found = torch.stack([to_degrees(logits) for logits in (pose.yaw, pose.pitch, pose.roll)], 1)
    return (found - angles_deg).abs().mean(0).sum()


def deformation_prior(pose: Pose) -> Tensor:
    """Sum of absolute offsets by the expression, mean over images."""
    return wide(pose.exp).abs().sum(1).mean()
