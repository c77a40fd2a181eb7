"""Faces cut out as dlib's face recognition network has seen them in its training.

Source: `get_face_chip_details` for five points in dlib/image_transforms/interpolation.h.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from model.frame.alignment import similarity_to
from model.frame.coords import px_to_ndc
from model.frame.images import check_images
from model.instruments.dlib_resnet import CHIP_PX

PADDING = 0.25  # of the face's side, on each side
FIVE_OF_68 = (45, 42, 36, 39, 33)  # outer and inner corner of the eye on the right, of the other; below the nose
MEAN_FACE = (
    (0.8595674595992, 0.2134981538014),
    (0.6460604764104, 0.2289674387677),
    (0.1205750620789, 0.2137274526848),
    (0.3340850613712, 0.2290642403242),
    (0.4901123135679, 0.6277975316475),
)  # where the five points lie, in sides of the face


def face_chips(img: Tensor, landmarks_px: Tensor) -> Tensor:
    """Cut faces out, each by its own landmarks, turned upright.

    A chip is sampled as often as it shrinks the image and averaged, so that a large image leaves no aliases, and each
    alone, so that none depends on the others of its batch. What lies outside of an image is black, as in dlib.

    Args:
        img: (B, 3, H, W) in [0, 1].
        landmarks_px: (B, 68, 2) iBUG landmarks, px, edge-aligned (a pixel's centre at half integers).

    Returns:
        (B, 3, 150, 150) in [0, 1], in the type of `img`.

    Raises:
        ValueError: a landmark is not finite.
    """
    check_images(img)
    if not bool(landmarks_px.isfinite().all()):
        raise ValueError("faces are cut out by finite landmarks: leave out images in which none were found")
    to_image = chip_to_image(landmarks_px)
    return torch.cat([_cut(one[None], matrix) for one, matrix in zip(img, to_image, strict=True)])


def chip_to_image(landmarks_px: Tensor) -> Tensor:
    """Similarities (B, 2, 3), float64, that carry px of a chip to px of an image; landmarks as in `face_chips`."""
    found = landmarks_px[:, list(FIVE_OF_68)].double()
    mean_face = torch.tensor(MEAN_FACE, dtype=torch.float64, device=found.device)
    template = (mean_face + PADDING) / (1 + 2 * PADDING) * CHIP_PX
    return similarity_to(template.expand_as(found), found)


def _cut(img: Tensor, to_image: Tensor) -> Tensor:
    """Sample one image (1, 3, H, W) where a chip's pixels lie in it."""
    shrinks = float(to_image[:, :2].norm(dim=0).mean())  # px of the image in one of the chip
    finer = max(1, math.ceil(shrinks - 0.5))
    side = (torch.arange(CHIP_PX * finer, device=img.device, dtype=torch.float64) + 0.5) / finer
    rows, columns = torch.meshgrid(side, side, indexing="ij")
    points = torch.stack([columns, rows], -1).flatten(0, 1)  # (side * side, 2), x first
    at_px = points @ to_image[:, :2].T + to_image[:, 2]
    grid = px_to_ndc(at_px, img.shape[-2:]).to(img.dtype).view(1, len(side), len(side), 2)
    chip = F.grid_sample(img, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return F.avg_pool2d(chip, finer) if finer > 1 else chip
