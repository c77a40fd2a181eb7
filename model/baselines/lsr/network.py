"""LSR: contours of landmarks -> a soft segmentation in the driving pose -> image, styled by the source.

Source: MoustafaMeshry/lsr at a9a6643, networks.py and layers.py (layers, hence the names of tensors), options.py
(sizes), models/two_step_synthesis_model.py (the two steps). The original is TensorFlow; model/baselines/lsr/names.py
leads from its names and layouts to these. The card is docs/cards/lsr.md.

Legend: B batch, n side of the images, C channels.
Convention: inside, RGB and contours are in [-1, 1]. Weights are multiplied by gain / sqrt(inputs) whenever they are
used, so a stored weight is the trained one and not what the convolution sees.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.baselines.shared.inputs import check_inputs
from model.baselines.shared.spade import spade
from model.method.network import Made, Signals

SLOPE = 0.2  # of the generators' leaky ReLUs; the encoders have plain ones
EPS = 1e-3  # of the instance norms: TensorFlow's default
GAIN = 2**0.5
RGB = 3


@dataclass(frozen=True)
class LsrConfig:
    """Sizes; the defaults are the released network's.

    Attributes:
        native_px: side of the images, `start_px` * 2^levels.
        start_px: side at which the image generator starts; the encoders end at half of it.
        style: numbers of each of the two codes.
        classes: of the segmentation.
        channels: of the first level of every network.
        most: channels of the deepest levels.
        levels: halvings and doublings of the two generators; the encoders have one more.
        spade_hidden: channels between the segmentation and the scales and shifts made of it.
    """

    native_px: int = 224
    start_px: int = 7
    style: int = 512
    classes: int = 19
    channels: int = 32
    most: int = 512
    levels: int = 5
    spade_hidden: int = 64

    def __post_init__(self) -> None:
        """Raise ValueError unless the side is the first one doubled `levels` times."""
        if self.native_px != self.start_px * 2**self.levels:
            raise ValueError(f"native_px {self.native_px} is not {self.start_px} doubled {self.levels} times")

    def wide(self, first: int, count: int) -> list[int]:
        """Channels of `count` levels, each twice the one before, `most` at most."""
        return [min(first * 2**i, self.most) for i in range(count)]


class Synthesis(NamedTuple):
    """All that the network computes.

    Attributes: z_style (B, style) and z_layout (B, style), logits (B, classes, n, n) of the segmentation, aux
    (B, 3, n, n), an image of the first step that only training looks at, and image (B, 3, n, n), about [-1, 1].
    """

    z_style: Tensor
    z_layout: Tensor
    logits: Tensor
    aux: Tensor
    image: Tensor


class Lsr(nn.Module):
    """The network; the state dict is the checkpoint's four networks below `network.`."""

    def __init__(self, config: LsrConfig | None = None) -> None:
        super().__init__()
        self.config = config or LsrConfig()
        self.native_px = self.config.native_px
        self.network = TwoSteps(self.config)

    def forward(self, source: Tensor, signals: Signals) -> Made:
        """Animate.

        Args:
            source: (B, 3, n, n) in [0, 1].
            signals: `source_contour` and `driving_contour` (B, 3, n, n) in [0, 1], drawings of 68 landmarks.

        Returns:
            The image, nominally in [0, 1]: nothing bounds it, and nothing is clamped here. Panels `driving contour` and
            `layout` (the segmentation, each class a grey level); as `own` a `Synthesis`.

        Raises:
            ValueError: a source or signal of another shape.
        """
        size = (RGB, self.native_px, self.native_px)
        check_inputs(source, self.native_px, signals, {"source_contour": size, "driving_contour": size})
        seen = torch.cat([source, signals["source_contour"]], 1) * 2 - 1
        made: Synthesis = self.network(seen, signals["driving_contour"] * 2 - 1)
        grey = made.logits.argmax(1, keepdim=True).to(source.dtype) / (self.config.classes - 1)
        panels = {"driving contour": signals["driving_contour"], "layout": grey.expand_as(source)}
        return Made((made.image + 1) / 2, panels, made)


class TwoSteps(nn.Module):
    """Both codes, the layout, and the image in it."""

    def __init__(self, config: LsrConfig) -> None:
        super().__init__()
        self.classes = config.classes
        self.encoder = Encoder(config)
        self.layout_encoder = Encoder(config)
        self.layout_generator = LayoutGenerator(config)
        self.generator = ImageGenerator(config)

    def forward(self, seen: Tensor, contour: Tensor) -> Synthesis:
        """The source beside its contour (B, 6, n, n), and the driving contour (B, 3, n, n)."""
        z_style, z_layout = self.encoder(seen), self.layout_encoder(seen)
        logits, aux = self.layout_generator(contour, z_layout).split([self.classes, RGB], 1)
        return Synthesis(z_style, z_layout, logits, aux, self.generator(logits.softmax(1), z_style))


class Conv(nn.Module):
    """Convolution of stride 1 that keeps the size; the weight is scaled when used."""

    def __init__(self, channels: int, outputs: int, kernel: int = 3, bias: bool = True, gain: float = GAIN) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale = gain / (channels * kernel**2) ** 0.5

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C', h, w)."""
        return F.conv2d(x, self.weight * self.scale, self.bias, padding=self.weight.shape[-1] // 2)


class Dense(nn.Module):
    """Linear layer; the weight is scaled when used."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = GAIN / inputs**0.5

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs) -> (B, outputs)."""
        return F.linear(x * self.scale, self.weight, self.bias)  # of x there is less


def instance_norm(x: Tensor) -> Tensor:
    """Instance norm without parameters, with TensorFlow's epsilon."""
    return F.instance_norm(x, eps=EPS)


def double(x: Tensor) -> Tensor:
    """Twice the size, bilinear."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def blur_pool(x: Tensor) -> Tensor:
    """Half the size, each pixel a [1, 2, 1] blur. Quirk: of the even sizes here only right and bottom are padded."""
    taps = x.new_tensor([0.25, 0.5, 0.25])
    kernel = torch.outer(taps, taps).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(F.pad(x, (0, 1, 0, 1)), kernel, stride=2, groups=x.shape[1])


class Encoder(nn.Module):
    """Source beside its contour -> a code."""

    def __init__(self, config: LsrConfig) -> None:
        super().__init__()
        wide = config.wide(config.channels, config.levels + 2)
        blocks: dict[str, nn.Module] = {"0": Conv(2 * RGB, wide[0], 7)}
        for i in range(config.levels + 1):  # a pooling stands between two blocks and takes a number
            blocks[str(2 * i + 2)] = EncoderBlock(wide[i], wide[i + 1])
        self.blocks = nn.ModuleDict(blocks)
        self.fc_z = Dense(wide[-1] * (config.start_px // 2) ** 2, config.style)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 6, n, n) in [-1, 1] -> (B, style). The last pooling leaves out a row and a column of an odd start."""
        first, *blocks = self.blocks.children()
        x = F.relu(first(x))
        for block in blocks:
            x = block(F.avg_pool2d(x, 2))
        return self.fc_z(F.relu(x).permute(0, 2, 3, 1).flatten(1))  # rows, columns, channels: TensorFlow's order


class EncoderBlock(nn.Module):
    """Activation and convolution twice, beside a shortcut that is a convolution where the width changes."""

    def __init__(self, channels: int, wider: int) -> None:
        super().__init__()
        self.conv_block0 = Conv(channels, min(channels, wider))
        self.conv_block1 = Conv(min(channels, wider), wider)
        self.shortcut = Conv(channels, wider, 1, bias=False) if channels != wider else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C', h, w)."""
        more = self.conv_block1(F.relu(self.conv_block0(F.relu(x))))
        return more + (x if self.shortcut is None else self.shortcut(x))


class LayoutGenerator(nn.Module):
    """Driving contour and a code -> logits of the segmentation and an image: a U-Net.

    Quirk: nothing widens the drawing first, so the first block's first convolution has three channels on both sides.
    """

    def __init__(self, config: LsrConfig) -> None:
        super().__init__()
        wide = config.wide(config.channels, config.levels + 1)
        inputs = [RGB, *wide[1:-1]]
        self.encoder_blocks = nn.ModuleList(map(_downward, inputs, wide[1:]))
        upward, joined = wide[-2::-1], wide[-1]
        decoder = []
        for outputs in upward:
            decoder.append(nn.ModuleDict({"resblock_up_fn": UpBlock(joined, outputs, config.style)}))
            joined = 2 * outputs  # beside what was seen at that size on the way down
        self.decoder_blocks = nn.ModuleList(decoder)
        self.output_conv = Conv(wide[0], config.classes + RGB, gain=1)

    def forward(self, contour: Tensor, z: Tensor) -> Tensor:
        """(B, 3, n, n) in [-1, 1] and (B, style) -> (B, classes + 3, n, n)."""
        seen, x = [], contour
        for level in self.encoder_blocks:
            x = level.get_submodule("blocks.0")(x)
            seen.append(x)
        seen.pop()
        for level in self.decoder_blocks:
            x = level.get_submodule("resblock_up_fn")(x, z)
            x = torch.cat([x, seen.pop()], 1) if seen else x
        return self.output_conv(x)


def _downward(channels: int, wider: int) -> nn.ModuleDict:
    return nn.ModuleDict({"blocks": nn.ModuleList([DownBlock(channels, wider)])})


class DownBlock(nn.Module):
    """Norm, activation and convolution twice, then half the size.

    The published shortcut is convolved before it is halved. A convolution of one pixel without bias gives the same
    afterwards, of a quarter of the pixels; so in `UpBlock`.
    """

    def __init__(self, channels: int, wider: int) -> None:
        super().__init__()
        self.conv_shortcut = Conv(channels, wider, 1, bias=False)
        self.conv0 = Conv(channels, channels)
        self.conv1 = Conv(channels, wider)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C', h/2, w/2)."""
        more = self.conv0(F.leaky_relu(instance_norm(x), SLOPE))
        more = self.conv1(F.leaky_relu(instance_norm(more), SLOPE))
        return blur_pool(more) + self.conv_shortcut(blur_pool(x))


class StyleNorm(nn.Module):
    """Instance norm whose scale and shift are made of a code."""

    def __init__(self, channels: int, style: int) -> None:
        super().__init__()
        self.dense = Dense(style, 2 * channels)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """Features (B, C, h, w) and codes (B, style) -> features."""
        scale, shift = self.dense(z)[:, :, None, None].chunk(2, 1)
        return instance_norm(x) * (1 + scale) + shift


class UpBlock(nn.Module):
    """Styled norm, activation and convolution twice, with twice the size before the first convolution."""

    def __init__(self, channels: int, narrower: int, style: int) -> None:
        super().__init__()
        self.conv_shortcut = Conv(channels, narrower, 1, bias=False)
        self.norm0 = StyleNorm(channels, style)
        self.conv0 = Conv(channels, narrower)
        self.norm1 = StyleNorm(narrower, style)
        self.conv1 = Conv(narrower, narrower)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C', 2h, 2w)."""
        more = self.conv0(double(F.leaky_relu(self.norm0(x, z), SLOPE)))
        more = self.conv1(F.leaky_relu(self.norm1(more, z), SLOPE))
        return more + double(self.conv_shortcut(x))


class ImageGenerator(nn.Module):
    """Segmentation and a code -> image: the code is the first, small image, and every norm is told by the layout."""

    def __init__(self, config: LsrConfig) -> None:
        super().__init__()
        wide = config.wide(config.channels, config.levels + 1)
        wide = [wide[-1], *reversed(wide)]  # the first block keeps the width
        blocks: dict[str, nn.Module] = {"0": Dense(config.style, wide[0] * config.start_px**2)}
        for i in range(config.levels + 1):  # a reshaping stands after the first, then doublings; both take a number
            blocks[str(2 * i + 2)] = SpadeBlock(wide[i], wide[i + 1], config.classes, config.spade_hidden)
        self.blocks = nn.ModuleDict(blocks)
        self.start_px, self.levels = config.start_px, config.levels
        self.to_rgb = Conv(wide[-1], RGB, gain=1)

    def forward(self, layout: Tensor, z: Tensor) -> Tensor:
        """Probabilities (B, classes, n, n) and (B, style) -> (B, 3, n, n), about [-1, 1]."""
        layouts = [layout]
        for _ in range(self.levels):
            layouts.append(F.avg_pool2d(layouts[-1], 2))
        dense, *blocks = self.blocks.children()
        x = dense(z).reshape(len(z), self.start_px, self.start_px, -1).permute(0, 3, 1, 2)  # rows, columns, channels
        for block in blocks:
            if len(layouts) <= self.levels:
                x = double(x)
            x = block(x, layouts.pop())
        return self.to_rgb(F.leaky_relu(x, SLOPE))


class SpadeNorm(nn.Module):
    """Instance norm whose scale and shift are made, pixel by pixel, of the segmentation."""

    def __init__(self, channels: int, classes: int, hidden: int) -> None:
        super().__init__()
        self.conv0 = Conv(classes, hidden)
        self.gamma_conv = Conv(hidden, channels)
        self.beta_conv = Conv(hidden, channels)

    def forward(self, x: Tensor, layout: Tensor) -> Tensor:
        """Features (B, C, h, w) and a segmentation of the same size -> features."""
        hidden = F.relu(self.conv0(layout))
        return spade(instance_norm(x), hidden, self.gamma_conv, self.beta_conv, self.gamma_conv.scale)


class SpadeConv(nn.Module):
    """A norm told by the segmentation, then perhaps an activation, then a convolution."""

    def __init__(self, channels: int, outputs: int, classes: int, hidden: int, shortcut: bool = False) -> None:
        super().__init__()
        self.spade_norm = SpadeNorm(channels, classes, hidden)
        self.conv = Conv(channels, outputs, 1 if shortcut else 3, bias=not shortcut)
        self.activates = not shortcut

    def forward(self, x: Tensor, layout: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C', h, w)."""
        x = self.spade_norm(x, layout)
        return self.conv(F.leaky_relu(x, SLOPE) if self.activates else x)


class SpadeBlock(nn.Module):
    """Two of them, beside a shortcut that is a third one, without activation, where the width changes."""

    def __init__(self, channels: int, outputs: int, classes: int, hidden: int) -> None:
        super().__init__()
        middle = min(channels, outputs)
        self.conv_block0 = SpadeConv(channels, middle, classes, hidden)
        self.conv_block1 = SpadeConv(middle, outputs, classes, hidden)
        same = channels == outputs
        self.shortcut = None if same else SpadeConv(channels, outputs, classes, hidden, shortcut=True)

    def forward(self, x: Tensor, layout: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C', h, w)."""
        more = self.conv_block1(self.conv_block0(x, layout), layout)
        return more + (x if self.shortcut is None else self.shortcut(x, layout))
