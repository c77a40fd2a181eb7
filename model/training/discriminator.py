"""Multi-scale Patch-GAN discriminator (paper section 3.4, supplementary 1.2 and 1.3)."""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from model.method.spectral import SLOPE, conv
from model.training.losses import Judged, PatchScores, feature_matching


@dataclass(frozen=True, kw_only=True, slots=True)
class DiscriminatorConfig:
    """Size of the multi-scale Patch-GAN: `scales` networks of `layers` strided convolutions."""

    scales: int
    layers: int
    width: int
    max_width: int


class PatchDiscriminator(nn.Module):
    """Strided 4x4 convolutions with leaky ReLU, then a 3x3 convolution to one logit a patch."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        widths = [3] + [min(config.width * 2**i, config.max_width) for i in range(config.layers)]
        self.layers = nn.ModuleList(conv(a, b, 4, stride=2) for a, b in zip(widths, widths[1:], strict=False))
        self.logits = conv(widths[-1], 1, 3)

    def forward(self, image: Tensor) -> PatchScores:
        """Judge images (N, 3, H, W) in [0, 1]."""
        features: list[Tensor] = []
        for layer in self.layers:
            image = F.leaky_relu(layer(image), SLOPE, inplace=True)
            features.append(image)
        return PatchScores(features, self.logits(image))


class Discriminator(nn.Module):
    """One Patch-GAN for each of `scales` image sizes, each half the one before.

    Choice: the scales share no weights (as in pix2pixHD; equations 2 to 4 write one D for all of them), and
    there is no normalisation but the spectral one, so a score depends on its image alone and I_o and I_w may
    share one pass.
    """

    traces_whole = ("distance",)  # model/training/compiled.py, which says why the network is not

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.scales = nn.ModuleList(PatchDiscriminator(config) for _ in range(config.scales))

    def forward(self, image: Tensor) -> Judged:
        """Judge images (N, 3, H, W) in [0, 1] at every scale, finest first."""
        scores = []
        for index, scale in enumerate(self.scales):
            image = image if index == 0 else F.avg_pool2d(image, 2)
            scores.append(scale(image))
        return scores

    def distance(self, real: Judged, made: Judged) -> Tensor:
        """How far what it found in k groups of made images lies from what it found in real ones: equation 4, (k,)."""
        return feature_matching(real, made)
