"""What FOMM and 3D-FOMM share around their keypoints: positions, motions of each, and the warps that they make.

Legend: B batch, K keypoints, N dimensions (2 or 3), S... sizes of a map, slowest axis first ((H, W) or (D, H, W)).
Convention: positions are x, y (and z) in [-1, 1] from the middle of the first pixel to that of the last, whatever
`grid_sample` then takes them for (see `align_corners` of the two systems).
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.frame.layout import as_laid_out, laid_out_like
from model.method.precision import wide


class Keypoints(NamedTuple):
    """Positions (B, K, N), and where the system has them the local affine maps (B, K, N, N)."""

    value: Tensor
    jacobian: Tensor | None = None


def position_grid(size: Sequence[int], like: Tensor) -> Tensor:
    """Positions (S..., N) of a map's pixels, on the device and in the dtype of `like`."""
    axes = [2 * (torch.arange(n, device=like.device, dtype=like.dtype) / (n - 1)) - 1 for n in size]
    return torch.stack(torch.meshgrid(*axes, indexing="ij")[::-1], -1)


def heatmaps(logits: Tensor, temperature: float) -> Tensor:
    """Softmax over the pixels of each map: (B, K, S...), float32 or wider also under autocast."""
    return F.softmax(wide(logits).flatten(2) / temperature, 2).view_as(logits)


def expected_position(heat: Tensor) -> Tensor:
    """Mean position (B, K, N) under heatmaps (B, K, S...), float32 or wider also under autocast."""
    with _unnarrowed(heat):  # eight bits are too few for points
        return wide(heat).flatten(2) @ position_grid(heat.shape[2:], wide(heat)).flatten(0, -2)


def gaussians(points: Tensor, size: Sequence[int], variance: float) -> Tensor:
    """A bell of height 1 around each of the points (B, K, N): (B, K, S...)."""
    away = position_grid(size, points) - points.view(*points.shape[:2], *[1] * len(size), -1)
    return torch.exp(-0.5 * away.square().sum(-1) / variance)


def with_background(maps: Tensor) -> Tensor:
    """Put an empty map, the background's, before those of the keypoints: (B, 1 + K, S...)."""
    return torch.cat([torch.zeros_like(maps[:, :1]), maps], 1)


def sparse_motions(source: Keypoints, driving: Keypoints, size: Sequence[int]) -> Tensor:
    """Where each keypoint, moving alone, would fetch a driving pixel from: (B, 1 + K, S..., N), the first stays.

    Source: FOMM, equation 4.
    """
    ones = [1] * len(size)
    grid = position_grid(size, source.value)
    away = grid - driving.value.view(*driving.value.shape[:2], *ones, -1)
    if source.jacobian is not None and driving.jacobian is not None:
        with _unnarrowed(grid):  # eight bits are too few for what turns positions
            turn = source.jacobian @ torch.inverse(driving.jacobian)
            away = (away.flatten(2, -2) @ turn.mT).view_as(away)
    moved = away + source.value.view(*source.value.shape[:2], *ones, -1)
    return torch.cat([grid.expand(len(moved), 1, *grid.shape), moved], 1)


def warp_by_each(feat: Tensor, motions: Tensor, align_corners: bool) -> Tensor:
    """Sample (B, C, S...) by each of the motions (B, M, S..., N): (B, M, C, S...). Black outside."""
    copies = feat[:, None].expand(-1, motions.shape[1], *feat.shape[1:]).flatten(0, 1)
    return sample(copies, motions.flatten(0, 1), align_corners).unflatten(0, motions.shape[:2])


def sample(feat: Tensor, positions: Tensor, align_corners: bool) -> Tensor:
    """Sample (B, C, S...) linearly at positions (B, S..., N), black outside."""
    feat = as_laid_out(feat)
    found = F.grid_sample(feat, positions, mode="bilinear", padding_mode="zeros", align_corners=align_corners)
    return laid_out_like(found, feat)


def blend(motions: Tensor, mask: Tensor) -> Tensor:
    """Mean (B, S..., N) of the motions (B, M, S..., N), weighted by `mask` (B, M, S...)."""
    return (motions * mask[..., None]).sum(1)


def relative(source: Keypoints, driving: Keypoints, first: Keypoints, scale: Tensor | None = None) -> Keypoints:
    """Carry the motion from the driving clip's first frame over to the source's keypoints.

    Source: `normalize_kp` of both repositories, with relative movement and relative jacobian.

    Args:
        source: of the source.
        driving: of the driving frame.
        first: of the driving clip's first frame.
        scale: (B,) of the movement; None for 1.
    """
    moved = driving.value - first.value
    if scale is not None:
        moved = moved * scale[:, None, None]
    jacobian = None
    if source.jacobian is not None and driving.jacobian is not None and first.jacobian is not None:
        jacobian = driving.jacobian @ torch.inverse(first.jacobian) @ source.jacobian
    return Keypoints(source.value + moved, jacobian)


def _unnarrowed(like: Tensor) -> AbstractContextManager[object]:
    """Within it autocast narrows no product; devices that have no autocast, such as meta, narrow none anyway."""
    kind = like.device.type
    return torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext()


class AntiAlias(nn.Module):
    """A Gaussian filter, then every n-th pixel: images (B, C, H, W) -> (B, C, H / n, W / n).

    Quirk kept: pixels outside count as black, and the pixel that is kept is the first of each n, which moves the small
    image by (n - 1) / 2 pixels. The kernel is a tensor of the checkpoint, a constant.
    """

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        sigma = (1 / scale - 1) / 2
        reach = round(4 * sigma)
        bell = torch.exp(-torch.arange(-reach, reach + 1, dtype=torch.float32).square() / (2 * sigma**2))
        kernel = bell[:, None] * bell
        self.register_buffer("weight", (kernel / kernel.sum()).repeat(channels, 1, 1, 1))
        self.step = int(1 / scale)

    def forward(self, img: Tensor) -> Tensor:
        """Shrink."""
        weight = self.get_buffer("weight")
        blurred = F.conv2d(img, weight, padding=weight.shape[-1] // 2, groups=len(weight))
        return blurred[:, :, :: self.step, :: self.step]
