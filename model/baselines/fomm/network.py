"""FOMM: keypoints with local affine maps move the source's features; what they uncover is painted (paper, Table 1).

Siarohin, Lathuiliere, Tulyakov, Ricci, Sebe: First Order Motion Model for Image Animation (NeurIPS 2019).
Source: AliaksandrSiarohin/first-order-model at c027484, modules/ and config/vox-256.yaml: the function and the names of
tensors. The checkpoint's entries `kp_detector` and `generator` are the attributes of `Fomm`.

Legend: B batch, K keypoints, H, W of the image, h, w of the maps of motion (a quarter), C channels.
Convention: RGB in [0, 1]; positions as in model/baselines/shared/keypoints.py.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.baselines.shared.hourglass import Block, Down, Hourglass, Residual, Up, widths
from model.baselines.shared.inputs import check_inputs
from model.baselines.shared.keypoints import (
    AntiAlias,
    Keypoints,
    blend,
    expected_position,
    gaussians,
    heatmaps,
    relative,
    sample,
    sparse_motions,
    warp_by_each,
    with_background,
)
from model.baselines.shared.one_pass import in_one_pass
from model.method.network import Made, Signals
from model.method.precision import wide

KERNEL = 7  # of the first and the last layers


@dataclass(frozen=True)
class FommConfig:
    """The released configuration (vox-256 and vox-adv-256 are the same network).

    Choice: `align_corners` is True, as under torch 1.0, on which the weights were trained, and as the positions are
    meant. The published code passes nothing, which means False under torch from 1.3 on.

    Attributes:
        image_px: side of the images.
        num_kp: keypoints K.
        scale: of the images that motion is estimated on.
        temperature: of the softmax over a keypoint's map.
        kp_variance: of the bells that show the keypoints to the motion network.
        kp_width, kp_largest, kp_levels: channels of the keypoint detector's first level, of its widest, and levels.
        motion_width, motion_largest, motion_levels: the same of the motion network.
        width, largest, num_down: the same of the generator.
        num_residual: its residual blocks.
        align_corners: what `grid_sample` takes -1 and 1 for: the middles of the outermost pixels, or their edges.
        adapt_movement_scale: relative motion (signal `driving_first`) is scaled by the size of the source's face over
            the driving one's, as measured by the hulls of their keypoints.
    """

    image_px: int = 256
    num_kp: int = 10
    scale: float = 0.25
    temperature: float = 0.1
    kp_variance: float = 0.01
    kp_width: int = 32
    kp_largest: int = 1024
    kp_levels: int = 5
    motion_width: int = 64
    motion_largest: int = 1024
    motion_levels: int = 5
    width: int = 64
    largest: int = 512
    num_down: int = 2
    num_residual: int = 6
    align_corners: bool = True
    adapt_movement_scale: bool = False


@dataclass(frozen=True)
class FommInside:
    """What FOMM finds on its way.

    Attributes:
        source, driving: keypoints of the two images; in the relative mode `driving` is what moves the source.
        sparse_deformed: the small source, moved by each keypoint alone (B, 1 + K, 3, h, w).
        mask: which of these motions each pixel follows (B, 1 + K, h, w).
        deformation: the motion that follows from it (B, h, w, 2).
        occlusion: 1 where the warped features are of use, 0 where the image is to be painted (B, 1, h, w).
        deformed: the source warped (B, 3, H, W).
    """

    source: Keypoints
    driving: Keypoints
    sparse_deformed: Tensor
    mask: Tensor
    deformation: Tensor
    occlusion: Tensor
    deformed: Tensor


class Fomm(nn.Module):
    """Keypoint detector and generator. Signals: `driving` (B, 3, H, W) in [0, 1]; relative mode: also `driving_first`.

    Without `driving_first` keypoints are absolute: the driving face's own place and size are taken over. This is the
    published reconstruction's mode and the only one that a pair of frames has.
    """

    def __init__(self, config: FommConfig | None = None) -> None:
        super().__init__()
        self.config = config or FommConfig()
        self.native_px = self.config.image_px
        self.kp_detector = KeypointDetector(self.config)
        self.generator = Generator(self.config)

    def forward(self, source: Tensor, signals: Signals) -> Made:
        """Animate B sources (B, 3, H, W) in [0, 1].

        Returns:
            The image in [0, 1] (a sigmoid's), the warped source and the occlusion map, and a `FommInside`.

        Raises:
            ValueError: a signal is absent, or an image has another shape.
        """
        read = ["driving", "driving_first"] if "driving_first" in signals else ["driving"]
        check_inputs(source, self.native_px, signals, dict.fromkeys(read, source.shape[1:]))
        driving, first = signals["driving"], signals.get("driving_first")
        at_source, at_driving = self.kp_detector(source), self.kp_detector(driving)
        if first is not None:
            at_first = self.kp_detector(first)
            scale = movement_scale(at_source.value, at_first.value) if self.config.adapt_movement_scale else None
            at_driving = relative(at_source, at_driving, at_first, scale)
        img, inside = self.generator(source, at_source, at_driving)
        panels = {"warped source": inside.deformed, "occlusion": inside.occlusion.expand(-1, 3, -1, -1)}
        return Made(img, panels, inside)


class KeypointDetector(nn.Module):
    """Images (B, 3, H, W) in [0, 1] -> keypoints."""

    def __init__(self, config: FommConfig) -> None:
        super().__init__()
        self.temperature = config.temperature
        self.down = AntiAlias(3, config.scale) if config.scale != 1 else nn.Identity()
        self.predictor = Hourglass(2, 3, widths(config.kp_width, config.kp_largest, config.kp_levels))
        # Quirk kept: without padding the maps are 6 pixels smaller than the features, and [-1, 1] spans the maps.
        self.kp = nn.Conv2d(self.predictor.out_channels, config.num_kp, KERNEL)
        self.jacobian = nn.Conv2d(self.predictor.out_channels, 4 * config.num_kp, KERNEL)

    def forward(self, img: Tensor) -> Keypoints:
        """Find K positions, each the mean of a map, and the mean of a map of matrices under the same heat."""
        feat = self.predictor(self.down(img))
        maps, matrices = in_one_pass(feat, (self.kp, self.jacobian), padding=0)
        heat = heatmaps(maps, self.temperature)
        matrices = wide(matrices).unflatten(1, (heat.shape[1], 4))  # (B, K, 4, ...)
        jacobian = (matrices * heat[:, :, None]).sum((-2, -1)).unflatten(-1, (2, 2))
        return Keypoints(expected_position(heat), jacobian)


class MotionNetwork(nn.Module):
    """Mixes the keypoints' motions into one, and says what it does not explain."""

    def __init__(self, config: FommConfig) -> None:
        super().__init__()
        self.variance, self.align_corners = config.kp_variance, config.align_corners
        motions = config.num_kp + 1
        self.down = AntiAlias(3, config.scale) if config.scale != 1 else nn.Identity()
        channels = widths(config.motion_width, config.motion_largest, config.motion_levels)
        self.hourglass = Hourglass(2, motions * (3 + 1), channels)
        self.mask = nn.Conv2d(self.hourglass.out_channels, motions, KERNEL, padding=KERNEL // 2)
        self.occlusion = nn.Conv2d(self.hourglass.out_channels, 1, KERNEL, padding=KERNEL // 2)

    def forward(self, img: Tensor, source: Keypoints, driving: Keypoints) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return sparsely deformed sources, mask, deformation and occlusion as `FommInside` describes them."""
        small = self.down(img)
        size = small.shape[-2:]
        bells = gaussians(driving.value, size, self.variance) - gaussians(source.value, size, self.variance)
        motions = sparse_motions(source, driving, size)
        moved = warp_by_each(small, motions, self.align_corners)
        feat = self.hourglass(torch.cat([with_background(bells)[:, :, None], moved], 2).flatten(1, 2))
        mask, occlusion = in_one_pass(feat, (self.mask, self.occlusion), padding=KERNEL // 2)
        mask = F.softmax(wide(mask), 1)  # bfloat16 cannot hold sub-pixel positions
        return moved, mask, blend(motions, mask), torch.sigmoid(occlusion)


class Generator(nn.Module):
    """The source's features, warped, masked, and painted to an image."""

    def __init__(self, config: FommConfig) -> None:
        super().__init__()
        self.align_corners = config.align_corners
        channels = widths(config.width, config.largest, config.num_down)
        levels = range(config.num_down)
        self.dense_motion_network = MotionNetwork(config)
        self.first = Block(2, 3, config.width, KERNEL)
        self.down_blocks = nn.ModuleList(Down(2, channels[i], channels[i + 1]) for i in levels)
        self.up_blocks = nn.ModuleList(Up(2, channels[i + 1], channels[i]) for i in reversed(levels))
        self.bottleneck = nn.Sequential()
        for i in range(config.num_residual):
            self.bottleneck.add_module(f"r{i}", Residual(2, channels[-1]))
        self.final = nn.Conv2d(config.width, 3, KERNEL, padding=KERNEL // 2)

    def forward(self, img: Tensor, source: Keypoints, driving: Keypoints) -> tuple[Tensor, FommInside]:
        """Return the image (B, 3, H, W) in [0, 1] and what was found on the way."""
        feat = self.first(img)
        for block in self.down_blocks:
            feat = block(feat)
        moved, mask, deformation, occlusion = self.dense_motion_network(img, source, driving)
        feat = self._warp(feat, deformation) * _resized(occlusion, feat.shape[-2:])
        out = self.bottleneck(feat)
        for block in self.up_blocks:
            out = block(out)
        inside = FommInside(source, driving, moved, mask, deformation, occlusion, self._warp(img, deformation))
        return torch.sigmoid(wide(self.final(out))), inside

    def _warp(self, feat: Tensor, deformation: Tensor) -> Tensor:
        grid = _resized(deformation.permute(0, 3, 1, 2), feat.shape[-2:]).permute(0, 2, 3, 1)
        return sample(feat, grid, self.align_corners)


def _resized(maps: Tensor, size: torch.Size) -> Tensor:
    """Quirk kept: a deformation is resized between pixels' edges even where it is sampled between their middles."""
    if maps.shape[-2:] == size:
        return maps
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False)


def movement_scale(source: Tensor, first: Tensor) -> Tensor:
    """How large the source's face is beside that of the driving clip's first frame: (B,).

    Args:
        source: its keypoints (B, K, 2).
        first: keypoints of the first driving frame.
    """
    return (hull_area(source) / hull_area(first)).sqrt()


def hull_area(points: Tensor) -> Tensor:
    """Area (B,) of the convex hull of points (B, K, 2).

    An ordered pair is an edge if all other points lie to its left, or between the two: every edge adds the triangle
    that it spans with the mean point.
    """
    at = points.double() - points.double().mean(1, keepdim=True)
    edge = (at[:, None] - at[:, :, None])[:, :, :, None]  # (B, from, to, 1, 2)
    other = edge.transpose(2, 3)  # (B, from, 1, other, 2)
    side, along = _cross(edge, other), (edge * other).sum(-1)
    between = (side == 0) & (along >= 0) & (along <= edge.square().sum(-1))
    is_edge = ((side > 0) | between).all(-1)
    return (_cross(at[:, :, None], at[:, None]) * is_edge).sum((1, 2)).to(points.dtype) / 2


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
