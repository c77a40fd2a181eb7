"""The generator: an encoder, and progressive warping modules from coarse to fine (paper section 3.3).

Legend: level l = 1 (coarsest) .. L (the image's resolution); feat_src F_s^(l) encoder features;
feat F_r^(l) spatially realigned features; disp D^(l) absolute displacement in ndc, p_src - p_tgt;
guide the rendered guidance; I_o output image; I_w the source warped by D^(L).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from model.blocks import ConvBlock, DisplacementHead, Spade, conv
from model.config import GeneratorConfig
from model.coords import resize_disp
from model.guidance import GuidanceMaps, area_resize
from model.warp import warp

DARKEST = 1 / 255  # pixels are clipped to [DARKEST, 1 - DARKEST] before their logit is taken
FIRST_SHARE = 0.1  # of the final convolution's random weights for features, beside the warped image


@dataclass(frozen=True)
class PWMOutput:
    """What the generator makes of B pairs.

    Attributes:
        image: I_o (B, 3, H, W) in [0, 1].
        disps: D^(1) .. D^(L), each (B, 2, H / 2^(L-l), W / 2^(L-l)) in ndc.
        warped: I_w (B, 3, H, W), the source image warped by D^(L); which the last convolution refines.
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


class FirstLevel(nn.Module):
    """F_r^(1), where no realigned features exist yet: no SPADE and no estimated displacement (3.3).

    With a rendered displacement in the guidance, F_s^(1) warped by it joins the original F_s^(1);
    otherwise F_r^(1) comes from F_s^(1) alone.
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
    """

    def __init__(self, config: GeneratorConfig, level: int, guide_channels: int) -> None:
        super().__init__()
        width, finer = config.channels[level - 1], config.channels[level]
        self.spade = Spade(width, guide_channels, min(width, config.spade_hidden))
        self.disp = DisplacementHead(width, config.disp_gain)
        self.route = conv(width, finer, 3)
        self.merge = ConvBlock(2 * finer, finer)

    def forward(self, feat: Tensor, guide: Tensor, feat_src_finer: Tensor) -> tuple[Tensor, Tensor]:
        """Realign the next level's skip; returns (F_r^(l+1), D^(l))."""
        modulated = self.spade(feat, guide)
        disp = self.disp(modulated)
        size = feat_src_finer.shape[-2:]
        warped = warp(feat_src_finer, resize_disp(disp, size))
        route = F.interpolate(self.route(modulated), size=size, mode="nearest")
        return self.merge(torch.cat([warped, route], 1)), disp


class LastLevel(nn.Module):
    """SPADE at full resolution, D^(L), and a convolution of `outer_kernel` to the image I_o.

    Choice: the last module predicts a displacement of its own, which makes I_w ("the last pyramid in the
    decoder", supplementary 1.4), so that I_w is as sharp as the output.
    Choice: like every other module it warps the next skip, which here is the source image itself: the
    final convolution sees the SPADE output and the logits of I_w. It starts as I_w plus little else, so
    that training begins at a warped portrait rather than at grey; I_o ends in a sigmoid.
    """

    def __init__(self, config: GeneratorConfig, guide_channels: int) -> None:
        super().__init__()
        width = config.channels[-1]
        self.spade = Spade(width, guide_channels, min(width, config.spade_hidden))
        self.disp = DisplacementHead(width, config.disp_gain)
        self.image = spectral_norm(start_at_image(nn.Conv2d(width + 3, 3, config.outer_kernel, padding="same")))

    def forward(self, feat: Tensor, guide: Tensor, source: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return (I_o, D^(L), I_w), all at the resolution of `feat` and of the source image."""
        modulated = self.spade(feat, guide)
        disp = self.disp(modulated)
        warped = warp(source, disp)
        logits = self.image(torch.cat([modulated, torch.logit(warped, eps=DARKEST)], 1))
        return torch.sigmoid(logits.to(torch.promote_types(logits.dtype, torch.float32))), disp, warped


@torch.no_grad()
def start_at_image(last: nn.Conv2d) -> nn.Conv2d:
    """Let a convolution to 3 channels begin as the identity of its last 3 inputs; other weights become small."""
    centre = last.kernel_size[0] // 2
    last.weight *= FIRST_SHARE
    last.weight[:, -3:] = 0.0
    for channel in range(3):
        last.weight[channel, channel - 3, centre, centre] = 1.0
    last.bias.zero_()
    return last


class Generator(nn.Module):
    """PWM: source image and guidance -> image, displacements, warped source.

    Choice: a rendered displacement modulates features after multiplication by `guide_scale`, which
    brings ndc to the order of one; spectrally normalised convolutions cannot amplify it themselves.
    It warps as it is.

    Args (of the constructor):
        config: sizes.
        source_channels: channels that join the source image (codes or NMFC of the source mesh).
        guide_channels: channels of the guidance.
        warps_first: whether the first two of those are a rendered displacement.
    """

    def __init__(self, config: GeneratorConfig, source_channels: int, guide_channels: int, warps_first: bool) -> None:
        super().__init__()
        self.config = config
        scale = torch.ones(guide_channels, 1, 1)
        scale[: 2 * warps_first] = config.guide_scale
        self.register_buffer("guide_scale", scale, persistent=False)
        self.encoder = Encoder(config, 3 + source_channels)
        self.first = FirstLevel(config.channels[0], warps_first)
        self.modules_coarse_to_fine = nn.ModuleList(
            WarpModule(config, level, guide_channels) for level in range(1, config.levels)
        )
        self.last = LastLevel(config, guide_channels)

    def forward(self, source: Tensor, maps: GuidanceMaps) -> PWMOutput:
        """Animate source images (B, 3, H, W) in [0, 1] by guidance of any resolution.

        Raises:
            ValueError: H or W is not a multiple of 2^(L-1).
        """
        size = source.shape[-2:]
        step = 2 ** (self.config.levels - 1)
        if size[0] % step or size[1] % step:
            raise ValueError(f"images are {tuple(size)}: height and width must be multiples of {step}")
        guide = area_resize(maps.driving, size)
        guides = [guide * self.guide_scale]
        for _ in range(self.config.levels - 1):
            guides.append(F.avg_pool2d(guides[-1], 2))
        guides.reverse()
        feats_src = self.encoder(torch.cat([source, area_resize(maps.source, size)], 1))
        feat = self.first(feats_src[0], F.avg_pool2d(guide, step))
        disps = []
        for module, modulator, finer in zip(self.modules_coarse_to_fine, guides, feats_src[1:], strict=False):
            feat, disp = module(feat, modulator, finer)
            disps.append(disp)
        image, disp, warped = self.last(feat, guides[-1], source)
        return PWMOutput(image, [*disps, disp], warped, guide)
