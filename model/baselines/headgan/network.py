"""HeadGAN: renderings of the driving head -> flow that warps the source's features -> image decoded around them.

Source: michaildoukas/headGAN at c1ed825, models/generator.py (layers, hence the names of tensors), models/networks.py
(norms of the encoders), options/base_options.py (sizes). The card is docs/cards/headgan.md.

Legend: B batch, n side of the images, L levels down.
Convention: inside, RGB is in [-1, 1] and NMFC, the colours of the normalised mean face, in [0, 1].
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.baselines.shared.inputs import check_inputs
from model.baselines.shared.spade import spade
from model.baselines.shared.spectral import spectral_norm
from model.frame.warp import warp
from model.method.network import Made, Signals

SLOPE = 0.2
FEWER = 4  # a pixel shuffle turns so many channels into one of twice the size
RGB = 3


@dataclass(frozen=True)
class HeadGanConfig:
    """Sizes; the defaults are the published network's without audio, which is the tables' row.

    Attributes:
        native_px: side of the images.
        bottom_px: side of the lowest level, a power of two below `native_px`.
        channels: of the highest level; each level down has four times as many.
        frames: driving renderings: two before, and the driving frame.
        hidden: channels between a condition and the scales and shifts made of it.
        audio: numbers of sound that a frame comes with: 0 none, 300 in the network that hears.
        smoothing: renderings are drawn at so many times their side, and averaged.
    """

    BEFORE: ClassVar[Mapping[str, int]] = {"smoothing": 2}  # models that are older than the key

    native_px: int = 256
    bottom_px: int = 64
    channels: int = 32
    frames: int = 3
    hidden: int = 256
    audio: int = 0
    smoothing: int = 2

    def __post_init__(self) -> None:
        """Raise ValueError where no number of halvings leads from `native_px` to `bottom_px`."""
        if not 1 <= self.bottom_px <= self.native_px or self.bottom_px * 2**self.levels != self.native_px:
            raise ValueError(f"bottom_px {self.bottom_px} is not native_px {self.native_px} halved some times")

    @property
    def levels(self) -> int:
        """Levels down."""
        return (self.native_px // max(self.bottom_px, 1)).bit_length() - 1

    @property
    def wide(self) -> list[int]:
        """Channels of each level, the highest first."""
        return [self.channels * FEWER**i for i in range(self.levels + 1)]


class Rendered(NamedTuple):
    """All that the generator computes.

    Attributes: image (B, 3, n, n) and warped (B, 3, n, n) in [-1, 1], flow (B, 2, n, n) in pixels with the mask
    multiplied in, mask (B, 1, n, n) in [0, 1].
    """

    image: Tensor
    warped: Tensor
    flow: Tensor
    mask: Tensor


class HeadGan(nn.Module):
    """The network; the state dict is `net_G` of the release below `generator.`."""

    def __init__(self, config: HeadGanConfig | None = None) -> None:
        super().__init__()
        self.config = config or HeadGanConfig()
        self.native_px = self.config.native_px
        self.generator = Generator(self.config)

    def forward(self, source: Tensor, signals: Signals) -> Made:
        """Animate.

        Args:
            source: (B, 3, n, n) in [0, 1].
            signals: `driving_nmfc` (B, 9, n, n), the renderings of the driving pose and expression on the source's
                identity two frames before, one before and now, `source_nmfc` (B, 3, n, n), all in [0, 1]; where the
                configuration hears, `audio` (B, 300).

        Returns:
            The image in [0, 1], of a tanh; panels `warped source` and `mask` of the flow; as `own` a `Rendered`.

        Raises:
            ValueError: a source or signal of another shape.
        """
        config, size = self.config, (self.native_px, self.native_px)
        shapes: dict[str, tuple[int, ...]] = {"driving_nmfc": (3 * config.frames, *size), "source_nmfc": (3, *size)}
        if config.audio:
            shapes["audio"] = (config.audio,)
        check_inputs(source, self.native_px, signals, shapes)
        seen = torch.cat([signals["source_nmfc"], source * 2 - 1], 1)
        made: Rendered = self.generator(signals["driving_nmfc"], seen, signals["audio"] if config.audio else None)
        panels = {"warped source": (made.warped + 1) / 2, "mask": made.mask.expand_as(made.image)}
        return Made((made.image + 1) / 2, panels, made)


class Generator(nn.Module):
    """Flow, then image."""

    def __init__(self, config: HeadGanConfig) -> None:
        super().__init__()
        self.flow_network = FlowNetwork(config)
        self.rendering_network = RenderingNetwork(config)

    def forward(self, driving: Tensor, seen: Tensor, audio: Tensor | None) -> Rendered:
        """Driving renderings (B, 9, n, n), the source's rendering beside its RGB (B, 6, n, n), audio (B, 300)."""
        flow, mask, features = self.flow_network(driving, seen)
        warped = warp_px(seen[:, -RGB:], flow)
        return Rendered(self.rendering_network(driving, features, warped, audio), warped, flow, mask)


def warp_px(x: Tensor, flow: Tensor) -> Tensor:
    """Sample (B, C, h, w) at every pixel plus its flow (B, 2, h, w) in pixels; the rim is repeated outside."""
    flow = flow.to(torch.promote_types(flow.dtype, torch.float32))  # bfloat16 cannot hold sub-pixel positions
    size = flow.new_tensor([flow.shape[-1], flow.shape[-2]])[:, None, None]
    return warp(x, flow * 2 / size)


class FlowNetwork(nn.Module):
    """Source -> features, and the flow that brings them to the driving pose."""

    def __init__(self, config: HeadGanConfig) -> None:
        super().__init__()
        wide, told = config.wide, 3 * config.frames
        self.enc = encoder(3 + RGB, wide)
        self.dec_res = nn.ModuleList(SpadeBlock(wide[-1], told, config.hidden) for _ in range(config.levels))
        self.dec_main = nn.ModuleList(SpadeBlock(channels, told, config.hidden) for channels in wide[:0:-1])
        self.dec_flow = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(wide[0], 2, 7))
        self.dec_mask = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(wide[0], 1, 7))

    def forward(self, driving: Tensor, seen: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return flow (B, 2, n, n) in pixels, its mask (B, 1, n, n) and the warped features of every level."""
        features = [seen]
        for layer in self.enc:
            features.append(layer(features[-1]))
        x = features[-1]
        for block in self.dec_res:
            x = block(x, driving)
        for block in self.dec_main:
            x = F.pixel_shuffle(block(x, driving), 2)
        mask = (torch.tanh(self.dec_mask(x)) + 1) / 2
        flow = smaller = self.dec_flow(x) * mask
        warped = []
        for level, feature in enumerate(features[1:]):
            if level:
                smaller = F.avg_pool2d(smaller, 2) / 2  # so many pixels are half as many there
            warped.append(warp_px(feature, smaller))
        return flow, mask, warped


class RenderingNetwork(nn.Module):
    """Driving renderings -> image, told by the warped features and the warped source."""

    def __init__(self, config: HeadGanConfig) -> None:
        super().__init__()
        wide = config.wide
        self.cond_enc = encoder(3 * config.frames, wide)
        conditions = [*((channels, channels) for channels in reversed(wide)), (wide[0], RGB)]
        self.cond_dec = nn.ModuleList(SpadeBlock(channels, told, config.hidden) for channels, told in conditions)
        if config.audio:
            self.cond_dec_audio = nn.ModuleList(AudioBlock(channels, config.audio) for channels in reversed(wide))
        self.hears = config.audio > 0
        self.conv_img = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(wide[0], RGB, 7))

    def forward(self, driving: Tensor, features: Sequence[Tensor], warped: Tensor, audio: Tensor | None) -> Tensor:
        """Renderings (B, 9, n, n), features of every level, the highest first, RGB, audio -> image in [-1, 1]."""
        x = driving
        for layer in self.cond_enc:
            x = layer(x)
        lowest_first = list(reversed(features))
        for i, feature in enumerate(lowest_first):
            x = self.cond_dec[i](x, feature)
            if self.hears:
                x = self.cond_dec_audio[i](x, audio)
            if i < len(lowest_first) - 1:
                x = F.pixel_shuffle(x, 2)
        x = self.cond_dec[-1](x, warped)
        return torch.tanh(self.conv_img(F.leaky_relu(x, SLOPE)))


def encoder(channels: int, wide: Sequence[int]) -> nn.ModuleList:
    """One layer that keeps the size, then one a halving; a norm takes the place of the convolution's bias."""

    def normed(inputs: int, outputs: int, kernel: int, stride: int, padding: int) -> nn.Sequential:
        conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        return nn.Sequential(spectral_norm(conv), nn.InstanceNorm2d(outputs, affine=True))

    layers = [nn.Sequential(nn.ReflectionPad2d(3), normed(channels, wide[0], 7, 1, 0), nn.ReLU())]
    layers += [
        nn.Sequential(normed(high, low, 3, 2, 1), nn.ReLU()) for high, low in zip(wide[:-1], wide[1:], strict=True)
    ]
    return nn.ModuleList(layers)


class Spade(nn.Module):
    """Instance norm whose scale and shift are made, pixel by pixel, of a condition."""

    def __init__(self, channels: int, told: int, hidden: int) -> None:
        super().__init__()
        self.mlp_shared = nn.Sequential(nn.Conv2d(told, hidden, 3, padding=1), nn.ReLU())
        self.mlp_gamma = nn.Conv2d(hidden, channels, 3, padding=1)
        self.mlp_beta = nn.Conv2d(hidden, channels, 3, padding=1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Features (B, C, h, w) and a condition (B, C', h', w'), of which every (h'/h)th pixel is taken."""
        hidden = self.mlp_shared(F.interpolate(condition, x.shape[-2:], mode="nearest"))
        return spade(F.instance_norm(x), hidden, self.mlp_gamma, self.mlp_beta)


class SpadeBlock(nn.Module):
    """Residual block of two conditioned norms; the shortcut is the input itself."""

    def __init__(self, channels: int, told: int, hidden: int) -> None:
        super().__init__()
        self.conv_0 = spectral_norm(nn.Conv2d(channels, channels, 3, padding=1))
        self.conv_1 = spectral_norm(nn.Conv2d(channels, channels, 3, padding=1))
        self.norm_0 = Spade(channels, told, hidden)
        self.norm_1 = Spade(channels, told, hidden)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(B, C, h, w) -> the same shape."""
        more = self.conv_0(F.leaky_relu(self.norm_0(x, condition), SLOPE))
        return x + self.conv_1(F.leaky_relu(self.norm_1(more, condition), SLOPE))


class AdaIN(nn.Module):
    """Instance norm whose scale and shift are made of a vector."""

    def __init__(self, channels: int, told: int) -> None:
        super().__init__()
        self.fc = nn.Linear(told, 2 * channels)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        """Features (B, C, h, w) and vectors (B, K) -> features."""
        scale, shift = self.fc(told)[:, :, None, None].chunk(2, 1)
        return F.instance_norm(x) * (1 + scale) + shift


class AudioBlock(nn.Module):
    """Two convolutions told by sound. Quirk: unlike every other block here it adds nothing to its input."""

    def __init__(self, channels: int, audio: int) -> None:
        super().__init__()
        self.conv1 = spectral_norm(nn.Conv2d(channels, channels, 3, padding=1))
        self.conv2 = spectral_norm(nn.Conv2d(channels, channels, 3, padding=1))
        self.norm1 = AdaIN(channels, audio)
        self.norm2 = AdaIN(channels, audio)

    def forward(self, x: Tensor, audio: Tensor) -> Tensor:
        """(B, C, h, w) -> the same shape."""
        x = self.conv1(F.leaky_relu(self.norm1(x, audio), SLOPE))
        return self.conv2(F.leaky_relu(self.norm2(x, audio), SLOPE))
