"""Perceptual loss over an image pyramid, and the VGG-19 that the paper measures it with.

Source: paper section 3.4 and supplementary 1.1, equation 1.
"""

from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from model.training.losses import mean_apart

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
VGG_BLOCKS = 5
Pyramid = list[list[Tensor]]  # scales, finest first, of feature maps, finest first


class Perceptual(nn.Module):
    """Mean absolute difference of features, summed over blocks and image scales.

    Choice: means within a map where equation 1 has sums, so that weights do not depend on sizes; every
    block and scale counts alike, as in the equation.

    Args (of the constructor):
        backbone: a network with `features`; it is frozen here.
        blocks: how many of its maps are compared.
        scales: image scales, each half the one before.
    """

    traces_whole = ("forward", "target")  # model/training/compiled.py

    def __init__(self, backbone: nn.Module, blocks: int, scales: int) -> None:
        super().__init__()
        self.backbone = without_norms(backbone.requires_grad_(False).eval())
        self.blocks = blocks
        self.scales = scales

    def train(self, mode: bool = True) -> "Perceptual":
        """Stay in inference mode: a backbone's statistics are fixed."""
        return super().train(False)

    def pyramid(self, img: Tensor) -> Pyramid:
        """Features of images (B, 3, H, W) in [0, 1] at every scale.

        Raises:
            ValueError: the backbone has fewer maps than `blocks`.
        """
        backbone: Any = self.backbone  # whose `features` are maps, finest first
        levels = []
        for scale in range(self.scales):
            img = img if scale == 0 else F.avg_pool2d(img, 2)
            maps = backbone.features(img)
            if len(maps) < self.blocks:
                raise ValueError(f"perceptual backbone has {len(maps)} feature maps, {self.blocks} blocks asked for")
            levels.append(maps[: self.blocks])
        return levels

    def target(self, img: Tensor) -> Pyramid:
        """Features of the image to match, computed once and shared by everything compared with it."""
        with torch.no_grad():
            return self.pyramid(img)

    def forward(self, img: Tensor, target: Pyramid) -> Tensor:
        """Distance of k stacked groups of images (kB, 3, H, W) to one target of B: losses (k,)."""
        return self.distance(self.pyramid(img), target, img)

    @staticmethod
    def distance(made: Pyramid, target: Pyramid, img: Tensor) -> Tensor:
        """As `forward`, of a pyramid that was made of `img`, whose type the sums have."""
        total = img.new_zeros(len(img) // len(target[0][0]))
        for maps, target_maps in zip(made, target, strict=True):
            for feature, wanted in zip(maps, target_maps, strict=True):
                total = total + mean_apart(feature, wanted)
        return total


def without_norms(frozen: nn.Module) -> nn.Module:
    """Fold each BatchNorm of a network in inference mode into the convolution right before it, in place.

    The same function but for rounding, in fewer operations; those within an `nn.Sequential` are found.
    """
    for sequence in [module for module in frozen.modules() if isinstance(module, nn.Sequential)]:
        for index, (before, norm) in enumerate(pairwise(sequence)):
            if isinstance(before, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                sequence[index] = fuse_conv_bn_eval(before, norm)
                sequence[index + 1] = nn.Identity()
    return frozen


class Vgg19(nn.Module):
    """Convolutional outputs of the five blocks of VGG-19, rectified.

    Args (of the constructor):
        weights: state dict of `torchvision.models.vgg19` (vgg19-dcbb9e9d.pth), or of its `features`.
        which: the first or the last convolution of each block.

    Raises:
        FileNotFoundError: no such file; the message says where the weights come from.

    Choice: the paper names neither the layers nor whether they are rectified: here they are. The first convolution
    of each block after its ReLU is what FOMM and pix2pixHD compare; "instead of the pooling outputs"
    may mean the last, hence the parameter.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, weights: Path, which: Literal["first", "last"]) -> None:
        super().__init__()
        if not Path(weights).exists():
            raise FileNotFoundError(
                f"no VGG-19 weights at {weights}: put torchvision's vgg19-dcbb9e9d.pth (BSD-3-Clause) there"
            )
        from torchvision.models import vgg19  # its import is slow and only this backbone needs it

        layers = vgg19(weights=None).features
        state = torch.load(weights, map_location="cpu", weights_only=True)
        layers.load_state_dict({k.removeprefix("features."): v for k, v in state.items() if "classifier" not in k})
        self.taps = vgg_taps(layers, which)
        self.layers = nn.Sequential(*(nn.ReLU() if isinstance(m, nn.ReLU) else m for m in layers[: self.taps[-1] + 1]))
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN)[:, None, None])
        self.register_buffer("std", torch.tensor(IMAGENET_STD)[:, None, None])

    def features(self, img: Tensor) -> list[Tensor]:
        """Five maps of images (B, 3, H, W) in [0, 1], finest first."""
        x = (img - self.mean) / self.std
        maps = []
        for index, layer in enumerate(self.layers):
            x = layer(x)
            if index in self.taps:
                maps.append(x)
        return maps


def vgg_taps(layers: nn.Sequential, which: Literal["first", "last"]) -> list[int]:
    """Indices of the ReLU after the first or last convolution of each of the five blocks."""
    pools = [i for i, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d)]
    starts = [0, *(i + 1 for i in pools)][:VGG_BLOCKS]
    return [start + 1 for start in starts] if which == "first" else [pool - 1 for pool in pools[:VGG_BLOCKS]]
