"""Cutting a face out of an image so that its eyes, nose and mouth lie where a network expects them."""

from typing import NamedTuple

import torch
from torch import Tensor

from model.frame.coords import identity_grid, ndc_to_px, px_to_ndc
from model.frame.images import check_images
from model.frame.warp import warp

ALIGNED_PX = 48
# ArcFace's five points in a 112 px frame: eyes, nose tip, mouth corners (insightface, utils/face_align.py).
TEMPLATE_112_PX = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)


class Aligned(NamedTuple):
    """Faces cut out of images.

    Attributes: face (B, 3, 48, 48) and roll_rad (B,), by how much the image was turned against the aligned
    face, counter-clockwise as the viewer sees it.
    """

    face: Tensor
    roll_rad: Tensor


def five_points(landmarks: Tensor) -> Tensor:
    """Eye centres, nose tip and mouth corners (B, 5, 2) of 68 iBUG landmarks (B, 68, 2)."""
    return torch.stack(
        [
            landmarks[:, 36:42].mean(1),
            landmarks[:, 42:48].mean(1),
            landmarks[:, 30],
            landmarks[:, 48],
            landmarks[:, 54],
        ],
        1,
    )


def similarity_to(points: Tensor, targets: Tensor) -> Tensor:
    """Least-squares similarities that carry points (B, N, 2) to targets (B, N, 2), as (B, 2, 3) matrices.

    Rotation, one scale and translation, no reflection: Umeyama 1991 in the plane, where it is linear.
    """
    mean_p, mean_t = points.mean(1, keepdim=True), targets.mean(1, keepdim=True)
    p, t = points - mean_p, targets - mean_t
    power = p.square().sum((1, 2)).clamp_min(1e-12)
    a = (p * t).sum((1, 2)) / power
    b = (p[..., 0] * t[..., 1] - p[..., 1] * t[..., 0]).sum(1) / power
    linear = torch.stack([a, -b, b, a], -1).unflatten(-1, (2, 2))
    shift = mean_t[:, 0] - (linear @ mean_p[:, 0, :, None])[..., 0]
    return torch.cat([linear, shift[..., None]], -1)


def align(img: Tensor, landmarks_ndc: Tensor) -> Aligned:
    """Cut out faces so that their five points lie on ArcFace's template.

    The similarity is found in pixels of the image, so non-square images do not distort the face.

    Args:
        img: (B, 3, H, W) in [0, 1].
        landmarks_ndc: (B, 68, 2) of these images.
    """
    check_images(img)
    size = img.shape[-2:]
    found_px = ndc_to_px(five_points(landmarks_ndc.float()), size)
    template_px = found_px.new_tensor(TEMPLATE_112_PX).expand_as(found_px) * (ALIGNED_PX / 112)
    to_image = similarity_to(template_px, found_px)
    grid_ndc = identity_grid((ALIGNED_PX, ALIGNED_PX), img.device)  # (1, 2, 48, 48)
    grid_px = ndc_to_px(grid_ndc.flatten(2).transpose(1, 2), (ALIGNED_PX, ALIGNED_PX))  # (1, 48 * 48, 2)
    source_px = grid_px @ to_image[:, :, :2].transpose(1, 2) + to_image[:, None, :, 2]
    source_ndc = px_to_ndc(source_px, size).transpose(1, 2).unflatten(-1, (ALIGNED_PX, ALIGNED_PX))
    clockwise = torch.atan2(to_image[:, 1, 0], to_image[:, 0, 0])  # y runs down
    return Aligned(warp(img, source_ndc - grid_ndc), -clockwise)
