"""The boxes that generator and discriminator are made of.

Choice: every convolution is spectrally normalised (section 3.4), pads with zeros, and is followed by
BatchNorm where colour passes; the paper names no normalisation of features but SPADE's. InstanceNorm, common
in this field, removes each image's own mean and with it the person's colours: after a minute of training such
a model is worse than the source itself.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.frame.coords import resize_disp
from model.method.spectral import SLOPE, conv


class ConvBlock(nn.Sequential):
    """Convolution, BatchNorm, leaky ReLU: (B, channels_in, h, w) -> (B, channels_out, h / stride, w / stride)."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(
            conv(channels_in, channels_out, kernel, stride, bias=False),  # BatchNorm has one
            nn.BatchNorm2d(channels_out),
            nn.LeakyReLU(SLOPE, inplace=True),
        )


class Spade(nn.Module):
    """Spatially adaptive normalisation: the guidance sets scale and shift of normalised features.

    Source: Park et al. 2019, figure 3 (paper reference [25]).

    Choice: one SPADE layer followed by a leaky ReLU rather than SPADE's residual block, which costs
    two thirds more and which the text does not mention.
    """

    def __init__(self, channels: int, guide_channels: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.embed = conv(guide_channels, hidden, 3)
        self.modulation = conv(hidden, 2 * channels, 3)

    def forward(self, features: Tensor, guide: Tensor) -> Tensor:
        """Modulate features (B, channels, h, w) by a guide (B, guide_channels, h, w)."""
        gamma, beta = self.modulation(F.relu(self.embed(guide), inplace=True)).chunk(2, 1)
        return F.leaky_relu(torch.addcmul(beta, self.norm(features), 1.0 + gamma), SLOPE, inplace=True)


class DisplacementHead(nn.Module):
    """A 3x3 convolution to a displacement, times one learned gain; added to the coarser level's if it `refines`.

    Choice: the paper has the convolution alone, without a gain. With it fields start close to zero, that is
    close to the identity, so that the skips carry the source's own layout while the decoder learns to read
    the guidance, and so that rows with and without a rendered displacement start alike. Spectral
    normalisation undoes any small initialisation of a convolution; hence the gain. It runs in float32 also
    under autocast.
    """

    def __init__(self, channels: int, gain: float, refines: bool) -> None:
        super().__init__()
        self.refines = refines
        self.conv = conv(channels, 2, 3)
        self.gain = nn.Parameter(torch.tensor(gain))

    def forward(self, features: Tensor, coarser: Tensor | None) -> Tensor:
        """Return displacements (B, 2, h, w) in ndc, float32 or wider; `coarser` is the level's before, of any size."""
        with torch.autocast(device_type=features.device.type, enabled=False):
            wide = features.to(torch.promote_types(features.dtype, torch.float32))
            disp = self.gain * self.conv(wide)
            return disp + resize_disp(coarser, disp.shape[-2:]) if self.refines and coarser is not None else disp
