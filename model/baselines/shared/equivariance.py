"""Equivariance: keypoints of a distorted image are the distorted keypoints (FOMM, section 3.3; 3D-FOMM, section 3.4).

Source: AliaksandrSiarohin/first-order-model at c027484, modules/model.py (`Transform` and the two losses).

Legend: B batch, N points, P centres of the spline. Positions as in model/baselines/shared/keypoints.py.
Positions are never multiplied as matrices: autocast would narrow them, and eight bits are a pixel of a large image.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from model.baselines.shared.keypoints import position_grid
from model.method.precision import wide

EPS = 1e-6  # within the spline's logarithm, as published


@dataclass(frozen=True, kw_only=True, slots=True)
class DistortionConfig:
    """How far images are distorted.

    Attributes:
        sigma_affine: standard deviation of each entry of the affine map around the identity; 0.05 as published.
        sigma_tps: of the weight of each centre of the spline; 0.005 as published.
        points_tps: centres along each axis, at least 2; 5 as published.
    """

    sigma_affine: float
    sigma_tps: float
    points_tps: int


class Distortion:
    """An affine map and a spline for each of B images: from positions in the distorted image to positions in the image.

    Quirk kept: the spline's distances are sums of absolute differences, and it moves x and y by the same amount.

    Args:
        affine: (B, 2, 3).
        weights: of the spline's centres (B, P), P a square: centres lie on a regular grid from -1 to 1.
    """

    def __init__(self, affine: Tensor, weights: Tensor) -> None:
        self.affine, self.weights = affine, weights
        points = round(weights.shape[1] ** 0.5)
        self.centres = position_grid((points, points), weights).flatten(0, 1)  # (P, 2)

    @classmethod
    def draw(cls, config: DistortionConfig, images: Tensor) -> "Distortion":
        """Draw one for each of the images (B, ...), on their device and in their dtype.

        It takes torch's stream of that device, which the loop keeps with its states: a resumed run draws the same.
        """
        device, dtype = images.device, images.dtype
        affine = torch.eye(2, 3, device=device, dtype=dtype).repeat(len(images), 1, 1)
        affine = affine + config.sigma_affine * torch.randn(affine.shape, device=device, dtype=dtype)
        weights = torch.randn((len(images), config.points_tps**2), device=device, dtype=dtype)
        return cls(affine, config.sigma_tps * weights)

    def positions(self, points: Tensor) -> Tensor:
        """Where points (B, N, 2) of the distorted images come from, (B, N, 2)."""
        distance = self._distance(points)  # (B, N, P)
        bend = (distance.square() * torch.log(distance + EPS) * self.weights[:, None]).sum(-1, keepdim=True)
        turned = (points[..., None, :] * self.affine[:, None, :, :2]).sum(-1)
        return turned + self.affine[:, None, :, 2] + bend

    def jacobian(self, points: Tensor) -> Tensor:
        """Derivative (B, N, 2, 2) of `positions` at points (B, N, 2): rows are of x and y moved, columns by x and y."""
        away, distance = points[:, :, None] - self.centres, self._distance(points)  # (B, N, P, 2), (B, N, P)
        slope = (2 * torch.log(distance + EPS) + distance / (distance + EPS)) * distance * self.weights[:, None]
        bend = (slope[..., None] * away.sign()).sum(-2)  # (B, N, 2), of x and of y alike
        return self.affine[:, None, :, :2] + bend[:, :, None]

    def image(self, img: Tensor, align_corners: bool) -> Tensor:
        """Distort images (B, C, H, W), mirrored beyond their edges.

        Args:
            img: the images.
            align_corners: what sampling takes -1 and 1 for; the system's own.
        """
        grid = position_grid(img.shape[-2:], img)
        at = self.positions(grid.flatten(0, 1).expand(len(img), -1, -1)).unflatten(1, grid.shape[:2])
        return F.grid_sample(img, at, padding_mode="reflection", align_corners=align_corners)

    def _distance(self, points: Tensor) -> Tensor:
        x, y = (points[..., None, axis] - self.centres[:, axis] for axis in (0, 1))
        return x.abs() + y.abs()


def value_equivariance(values: Tensor, distorted: Tensor, distortion: Distortion) -> Tensor:
    """Mean distance along x and y between keypoints and those of the distorted image, brought back: a scalar.

    Args:
        values: positions in the images (B, K, N), N 2 or 3, of which x and y are compared.
        distorted: positions in the distorted images, of the same shape.
        distortion: what was done to the images.
    """
    return (wide(values[..., :2]) - distortion.positions(wide(distorted[..., :2]))).abs().mean()


def jacobian_equivariance(
    jacobians: Tensor, distorted: Tensor, distorted_values: Tensor, distortion: Distortion
) -> Tensor:
    """Mean distance from the identity of what the two local maps and the distortion's own make together: a scalar.

    Args:
        jacobians: local affine maps in the images (B, K, 2, 2).
        distorted: those in the distorted images.
        distorted_values: positions in the distorted images (B, K, 2).
        distortion: what was done to the images.
    """
    with torch.autocast(jacobians.device.type, enabled=False):
        brought_back = distortion.jacobian(wide(distorted_values)) @ wide(distorted)
        both = torch.inverse(wide(jacobians)) @ brought_back
    return (torch.eye(2, device=both.device, dtype=both.dtype) - both).abs().mean()
