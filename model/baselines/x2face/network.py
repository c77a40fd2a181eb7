"""X2Face: the source is sampled to an embedded face, and that is sampled as the driving image says (paper, Table 1).

Wiles, Koepke, Zisserman: X2Face: A network for controlling face generation by using images, audio, and pose codes
(ECCV 2018).
Source: oawiles/X2Face at cecfbfa, UnwrapMosaic/{UnwrappedFace,SkipNet,NoSkipNet_X2Face}.py: the function and the names
of tensors. Its `pix2pixUnwrapped` is `X2Face.unwrapped`, its `pix2pixSampler` is `X2Face.sampler`.

Legend: B batch, n side of the images.
Convention: RGB in [0, 1]; positions are x, y in [-1, 1] from the middle of the first pixel to that of the last.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.baselines.shared.inputs import check_inputs
from model.method.network import Made, Signals

SLOPE = 0.2  # of the rectifiers on the way down


@dataclass(frozen=True)
class X2FaceConfig:
    """The released configuration.

    Attributes:
        native_px: side of the images, a multiple of 2 ** levels.
        levels: of both networks; the deepest is of native_px / 2 ** levels pixels, one in the released networks.
        width: channels of the first level; they double up to eight times that.
        bottleneck: channels of the driving network's deepest level, its whole description of the driving image.
    """

    native_px: int = 256
    levels: int = 8
    width: int = 64
    bottleneck: int = 128

    def __post_init__(self) -> None:
        if self.native_px % 2**self.levels:
            raise ValueError(f"native_px {self.native_px} is no multiple of 2 ** {self.levels} (levels)")


@dataclass(frozen=True)
class X2FaceInside:
    """What X2Face finds on its way.

    Attributes:
        embed_raw: what the embedding network says of the source (B, 3, n, n): flow x, y and a confidence.
        drive_raw: what the driving network says of the driving image (B, 2, n, n): flow x, y in [-1, 1].
        embedded: the embedded face (B, 3, n, n).
    """

    embed_raw: Tensor
    drive_raw: Tensor
    embedded: Tensor


class X2Face(nn.Module):
    """Embedding network and driving network. Signal: `driving` (B, 3, n, n) in [0, 1].

    The confidence weighs several sources of one person against each other. Choice: there is one source here, whose
    weight divides itself away, so it is not applied; it is in `X2FaceInside.embed_raw`.
    """

    def __init__(self, config: X2FaceConfig | None = None) -> None:
        super().__init__()
        self.config = config or X2FaceConfig()
        self.native_px = self.config.native_px
        width, levels = self.config.width, self.config.levels
        self.unwrapped = Pix2Pix(3, levels, width, min(8, 2 ** (levels - 1)) * width, skips=True)
        self.sampler = Pix2Pix(2, levels, width, self.config.bottleneck, skips=False)

    def forward(self, source: Tensor, signals: Signals) -> Made:
        """Animate B sources (B, 3, n, n) in [0, 1].

        Returns:
            The image, a mean of the source's pixels and of black, and an `X2FaceInside`.

        Raises:
            ValueError: the signal is absent, or an image has another shape.
        """
        check_inputs(source, self.native_px, signals, {"driving": source.shape[1:]})
        driving = signals["driving"]
        embed_raw, drive_raw = self.unwrapped(source), self.sampler(driving)
        embedded = sample(source, embed_raw[:, :2])
        # Quirk kept: the driving network ends in a tanh, and another one follows.
        img = sample(embedded, drive_raw)
        return Made(img, {"embedded face": embedded}, X2FaceInside(embed_raw, drive_raw, embedded))


class Pix2Pix(nn.Module):
    """An image (B, 3, n, n) through one of the two U-shaped networks: (B, outputs, n, n)."""

    def __init__(self, outputs: int, levels: int, width: int, deepest: int, skips: bool) -> None:
        super().__init__()
        channels = [3, *(width * min(8, 2**level) for level in range(levels - 1)), deepest]
        below: Level | None = None
        for outer, inner in reversed(list(zip(channels[1:], channels[2:], strict=False))):
            below = Level(outer, inner, below, skips)
        self.netG = nn.ModuleDict({"model": Outermost(outputs, width, below, skips)})

    @property
    def last(self) -> nn.Conv2d:
        """The convolution that says the flow."""
        outermost = cast(Outermost, self.netG["model"])
        return cast(nn.Conv2d, outermost.up[2])

    def forward(self, img: Tensor) -> Tensor:
        """Run it."""
        return self.netG["model"](img)


class Level(nn.Module):
    """Half the size, whatever lies below, and twice the size again.

    Quirk kept: the first rectifier works in place on what the level is given, so what a skip hands on is rectified.
    """

    def __init__(self, outer: int, inner: int, submodule: nn.Module | None, skips: bool) -> None:
        super().__init__()
        self.skips = skips
        down: list[tuple[str, nn.Module]] = [("1", _halve(outer, inner))]
        if submodule is not None:  # the deepest level has no norm on the way down
            down.append(("2", nn.BatchNorm2d(inner)))
        self.down = nn.Sequential(OrderedDict(down))  # "0" is the rectifier, which has no tensors
        back = inner if submodule is None or not skips else 2 * inner
        self.up = nn.Sequential(nn.ReLU(), Twice(), _convolve(back, outer), nn.BatchNorm2d(outer))
        self.submodule = submodule if submodule is not None else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, outer, h, w) -> (B, outer, h, w), or twice the channels with skips."""
        rectified = F.leaky_relu(x, SLOPE)
        out = self.up(self.submodule(self.down(rectified)))
        return torch.cat([out, rectified], 1) if self.skips else out


class Outermost(nn.Module):
    """The level of the images: no rectifier before it and no norm. The driving network's ends in a tanh."""

    def __init__(self, outputs: int, inner: int, submodule: nn.Module | None, skips: bool) -> None:
        super().__init__()
        self.down = nn.Sequential(_halve(3, inner))
        last = nn.Identity() if skips else nn.Tanh()
        self.up = nn.Sequential(nn.ReLU(), Twice(), _convolve(2 * inner if skips else inner, outputs), last)
        self.submodule = submodule if submodule is not None else nn.Identity()

    def forward(self, img: Tensor) -> Tensor:
        """(B, 3, n, n) -> (B, outputs, n, n)."""
        return self.up(self.submodule(self.down(img)))


class Twice(nn.Module):
    """Twice the size, between the middles of the outermost pixels as torch before 0.4 did."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C, 2h, 2w)."""
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)


def sample(img: Tensor, flow: Tensor) -> Tensor:
    """Sample (B, C, n, n) at tanh(flow) from each pixel's own place, black outside; flow (B, 2, n, n)."""
    size = img.shape[-1]
    flow = flow.to(torch.promote_types(flow.dtype, torch.float32))  # bfloat16 cannot hold sub-pixel positions
    axis = torch.linspace(-1, 1, size, dtype=torch.float64, device=img.device).to(img.dtype)
    identity = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1)
    positions = torch.tanh(flow).permute(0, 2, 3, 1) + identity
    return F.grid_sample(img, positions, mode="bilinear", padding_mode="zeros", align_corners=True)


def _halve(inputs: int, outputs: int) -> nn.Module:
    return nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False)


def _convolve(inputs: int, outputs: int) -> nn.Module:
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
