"""The generator: an encoder, and progressive warping modules from coarse to fine (paper section 3.3).

Legend: level l = 1 (coarsest) .. L (the image's resolution); feat_src F_s^(l) encoder features;
feat F_r^(l) spatially realigned features; disp D^(l) absolute displacement in ndc, p_src - p_tgt;
guide the rendered guidance; I_o output image; I_w the source warped by D^(L). What makes both of F_r^(L)
is an output (model/pwm/output.py).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.frame.coords import resize_disp
from model.frame.layout import as_laid_out
from model.frame.warp import warp
from model.method.spectral import conv
from model.pwm.blocks import ConvBlock, DisplacementHead, Spade
from model.pwm.config import GeneratorConfig
from model.pwm.guidance import GuidanceMaps
from model.pwm.output import OUTPUTS
from model.render.area import area_resize


@dataclass(frozen=True)
class PWMOutput:
    """What the generator makes of B pairs.

    Attributes:
        image: I_o (B, 3, H, W) in [0, 1].
        disps: D^(1) .. D^(L), each (B, 2, H / 2^(L-l), W / 2^(L-l)) in ndc.
        warped: I_w (B, 3, H, W), the source image warped by D^(L).
        guide: the guidance at level L, (B, C, H, W).
    """

    image: Tensor
    disps: list[Tensor]
    warped: Tensor
    guide: Tensor


class Encoder(nn.Module):
    """Source image and source-side guidance -> feature pyramid F_s^(1) .. F_s^(L).

    Choice: a stem of `outer_kernel` at full resolution, then one strided 3x3 convolution a level.
    """

    def __init__(self, config: GeneratorConfig, channels_in: int) -> None:
        super().__init__()
        widths = config.channels[::-1]
        self.stem = ConvBlock(channels_in, widths[0], kernel=config.outer_kernel)
        self.down = nn.ModuleList(
            ConvBlock(fine, coarse, stride=2) for fine, coarse in zip(widths, widths[1:], strict=False)
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the pyramid, coarsest first."""
        pyramid = [self.stem(image)]
        for block in self.down:
            pyramid.append(block(pyramid[-1]))
        return pyramid[::-1]


class GuideInput(nn.Module):
    """Rendered maps as the convolutions see them: of the order of one, and zero off the mesh.

    Choice: the paper scales nothing. A displacement is multiplied by `disp_scale`; NMFC, which differ little
    over a face, are taken about the mean head's middle and multiplied by `nmfc_scale`; codes stay as they
    are. Spectrally normalised convolutions cannot amplify small inputs themselves: without this a row of NMFC
    hardly learns to turn a head.
    Choice: a pixel that the mesh covers in part holds the mean over its area of coordinates about the middle, as
    if these had been rendered (`nmfc_centre` "by_coverage"). With "in_full", which models have that are older than
    the key, such a pixel loses the whole middle, and an outline of values that lie nowhere on the head
    stands around it.
    """

    scale: Tensor  # (C, 1, 1)
    middle: Tensor  # (3, 1, 1)

    def __init__(self, config: GeneratorConfig, parts: tuple[str, ...], channels: int, nmfc_middle: Tensor) -> None:
        super().__init__()
        scale, self.has_nmfc = torch.ones(channels, 1, 1), parts[-1] == "nmfc"
        self.by_coverage = config.nmfc_centre == "by_coverage"
        if parts[0] == "disp":
            scale[:2] = config.disp_scale
        if self.has_nmfc:
            scale[-3:] = config.nmfc_scale
        self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("middle", nmfc_middle[:, None, None].to(scale, copy=True), persistent=False)

    def forward(self, maps: Tensor, coverage: Tensor) -> Tensor:
        """Scale maps (B, C, h, w); `coverage` (B, 1, h, w) is of their mesh, and (B, 0, h, w) without NMFC."""
        if self.has_nmfc:
            share = coverage if self.by_coverage else (maps > 0).any(1, keepdim=True)
            maps = maps - self.middle * share
        return maps * self.scale


class FirstLevel(nn.Module):
    """F_r^(1), where no realigned features exist yet: no SPADE and no estimated displacement (3.3).

    With a rendered displacement in the guidance, F_s^(1) warped by it joins the original F_s^(1);
    otherwise F_r^(1) comes from F_s^(1) alone.

    Choice: guidance of both parts warps too; the paper says what happens with either.
    """

    def __init__(self, width: int, warps: bool) -> None:
        super().__init__()
        self.warps = warps
        self.merge = ConvBlock(2 * width if warps else width, width)

    def forward(self, feat_src: Tensor, guide: Tensor) -> Tensor:
        """Return F_r^(1); the first two channels of `guide` are the displacement where there is one."""
        if self.warps:
            feat_src = torch.cat([warp(feat_src, guide[:, :2]), feat_src], 1)
        return self.merge(feat_src)


class WarpModule(nn.Module):
    """One progressive warping module: F_r^(l), guide^(l), F_s^(l+1) -> F_r^(l+1), D^(l).

    Choice: the other route of the SPADE output is a 3x3 convolution to the next level's channels
    before it is upsampled; features are upsampled to the nearest, displacements bilinearly.
    Choice: with `disp_refines`, which `paper256` is without, the convolution adds to the coarser level's
    displacement, upsampled, instead of finding the whole of it anew; D^(l) is absolute either way. It saves a
    short training most of its time, because the levels of few channels only have details left to find.
    """

    def __init__(self, config: GeneratorConfig, level: int, guide_channels: int) -> None:
        super().__init__()
        width, finer = config.channels[level - 1], config.channels[level]
        self.spade = Spade(width, guide_channels, min(width, config.spade_hidden))
        self.disp = DisplacementHead(width, config.disp_gain, config.disp_refines)
        self.route = conv(width, finer, 3)
        self.merge = ConvBlock(2 * finer, finer)

    def forward(
        self, feat: Tensor, guide: Tensor, feat_src_finer: Tensor, disp_coarser: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Realign the next level's skip; returns (F_r^(l+1), D^(l)). The first level has no coarser displacement."""
        modulated = self.spade(feat, guide)
        disp = self.disp(modulated, disp_coarser)
        size = feat_src_finer.shape[-2:]
        warped = warp(feat_src_finer, resize_disp(disp, size))
        route = F.interpolate(self.route(modulated), size=size, mode="nearest")
        return self.merge(torch.cat([warped, as_laid_out(route)], 1)), disp


class Generator(nn.Module):
    """PWM: source image and guidance -> image, displacements, warped source.

    The first level warps by a rendered displacement where there is one; features are made of what
    `GuideInput` makes of the maps.

    Args (of the constructor):
        config: sizes.
        parts: what the guidance is made of, as in `model.pwm.config.GUIDANCE_PARTS`.
        source_channels: channels that join the source image (codes or NMFC of the source mesh).
        guide_channels: channels of the guidance.
        nmfc_middle: (3,) mean of the head's NMFC.
    """

    traces_whole = ("forward",)  # model/training/compiled.py

    def __init__(
        self,
        config: GeneratorConfig,
        parts: tuple[str, ...],
        source_channels: int,
        guide_channels: int,
        nmfc_middle: Tensor,
    ) -> None:
        super().__init__()
        self.config = config
        self.seen_driving = GuideInput(config, parts, guide_channels, nmfc_middle)
        self.seen_source = GuideInput(config, parts[-1:], source_channels, nmfc_middle)
        self.encoder = Encoder(config, 3 + source_channels)
        self.first = FirstLevel(config.channels[0], "disp" in parts)
        self.modules_coarse_to_fine = nn.ModuleList(
            WarpModule(config, level, guide_channels) for level in range(1, config.levels)
        )
        self.last = OUTPUTS[config.output](config, guide_channels)

    def forward(self, source: Tensor, maps: GuidanceMaps) -> PWMOutput:
        """Animate source images (B, 3, H, W) in [0, 1] by guidance of any resolution.

        Raises:
            ValueError: H or W is not a multiple of 2^(L-1).
        """
        size = source.shape[-2:]
        step = 2 ** (self.config.levels - 1)
        if size[0] % step or size[1] % step:
            raise ValueError(f"images are {tuple(size)}: height and width must be multiples of {step}")
        guide, coverage = area_resize(maps.driving, size), area_resize(maps.coverage, size)
        guides = [self.seen_driving(guide, coverage[:, :1])]
        for _ in range(self.config.levels - 1):
            guides.append(F.avg_pool2d(guides[-1], 2))
        guides.reverse()
        seen_source = self.seen_source(area_resize(maps.source, size), coverage[:, 1:])
        feats_src = self.encoder(torch.cat([source, seen_source], 1))
        feat = self.first(feats_src[0], F.avg_pool2d(guide, step))
        disps: list[Tensor] = []
        for module, modulator, finer in zip(self.modules_coarse_to_fine, guides, feats_src[1:], strict=False):
            feat, disp = module(feat, modulator, finer, disps[-1] if disps else None)
            disps.append(disp)
        image, disp, warped = self.last(feat, guides[-1], source, disps[-1])
        return PWMOutput(image, [*disps, disp], warped, guide)
