"""What makes the image I_o, D^(L) and the warped source I_w of the realigned features F_r^(L), in one of two ways.

Legend as in model/pwm/generator.py. Both outputs are made and called alike:
(feat (B, channels of level L, H, W), guide (B, C, H, W), source (B, 3, H, W), disp_coarser D^(L-1))
-> (I_o (B, 3, H, W) in [0, 1], D^(L) (B, 2, H, W) in ndc, I_w (B, 3, H, W)); images in float32 or wider.
"""

from typing import Any

import torch
from torch import Tensor, nn

from model.frame.coords import resize_disp
from model.frame.layout import as_laid_out
from model.frame.warp import warp
from model.method.spectral import conv
from model.pwm.blocks import DisplacementHead, Spade
from model.pwm.config import GeneratorConfig

POWER_ITERATIONS = 30  # after a weight was set by hand
DARKEST = 1 / 255  # pixels are clipped to [DARKEST, 1 - DARKEST] before their logit is taken


class PaperOutput(nn.Module):
    """The paper's: "a final convolutional layer", of `outer_kernel`, on F_r^(L) (section 3.3).

    Of the L modules the first predicts no displacement, so the last one that is predicted is D^(L-1). Upsampled
    it has warped F_s^(L) already; here it warps the source image to I_w (supplementary 1.4).

    Choice: the convolution ends in a sigmoid (FOMM's), because the paper names no range and images are in [0, 1].
    """

    def __init__(self, config: GeneratorConfig, guide_channels: int) -> None:
        super().__init__()
        self.image = conv(config.channels[-1], 3, config.outer_kernel)

    def forward(
        self, feat: Tensor, guide: Tensor, source: Tensor, disp_coarser: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        """Return (I_o, D^(L), I_w); the guidance has done its work at the levels before."""
        disp = resize_disp(disp_coarser, source.shape[-2:])
        return _pixels(self.image(feat)), disp, warp(source, disp)


class WarpedSourceOutput(nn.Module):
    """Ours, for short trainings: one more SPADE, and a convolution over its output and the logits of I_w.

    Choice: not the paper's (`PaperOutput` is). Like the modules before it warps the next skip, which here is the
    source image itself: the final convolution sees the SPADE output and the logits of I_w. One learned gain
    follows it: spectral normalisation alone would bound the contrast that it can give.
    Choice: with `last_disp` "own" it predicts D^(L) itself; with "upsampled" D^(L) is the module's before,
    upsampled. Its few channels see one pixel at a time, and after minutes of training they paint with a
    displacement of their own: every dark pixel of a mouth is fetched from the hair.
    Choice: training starts close to I_o = I_w (exactly there but for a tenth of a random convolution of the
    features, with `image_gain` 1), so that colours and details are right from the first step on.
    """

    def __init__(self, config: GeneratorConfig, guide_channels: int) -> None:
        super().__init__()
        width = config.channels[-1]
        self.spade = Spade(width, guide_channels, min(width, config.spade_hidden))
        own = config.last_disp == "own"
        self.disp = DisplacementHead(width, config.disp_gain, config.disp_refines) if own else None
        self.image = conv(width + 3, 3, config.outer_kernel)
        _start_as_copy(self.image, width)
        self.image_gain = nn.Parameter(torch.tensor(config.image_gain))

    def forward(
        self, feat: Tensor, guide: Tensor, source: Tensor, disp_coarser: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return (I_o, D^(L), I_w), all at the resolution of `feat` and of the source image."""
        modulated = self.spade(feat, guide)
        size = source.shape[-2:]
        disp = resize_disp(disp_coarser, size) if self.disp is None else self.disp(modulated, disp_coarser)
        warped = warp(source, disp)
        logits = self.image_gain * self.image(torch.cat([as_laid_out(modulated), torch.logit(warped, eps=DARKEST)], 1))
        return _pixels(logits), disp, warped


OUTPUTS: dict[str, type[PaperOutput] | type[WarpedSourceOutput]] = {
    "paper": PaperOutput,
    "warped_source": WarpedSourceOutput,
}


def _pixels(logits: Tensor) -> Tensor:
    """Pixels in [0, 1], float32 or wider also under autocast."""
    return torch.sigmoid(logits.to(torch.promote_types(logits.dtype, torch.float32)))


@torch.no_grad()
def _start_as_copy(image: nn.Conv2d, width: int) -> None:
    """Let a spectrally normalised convolution start as a copy of its last three inputs and a tenth of the others."""
    parametrized: Any = image  # what `spectral_norm` adds to a convolution has no types
    weight, middle = parametrized.parametrizations.weight.original, image.kernel_size[0] // 2
    weight[:, :width] *= 0.1
    weight[:, width:] = 0.0
    for channel in range(3):
        weight[channel, width + channel, middle, middle] = 1.0
    parametrized.bias.zero_()
    for _ in range(POWER_ITERATIONS):
        _ = image.weight  # each access in training mode is one power iteration: the norm is known before the first step
