"""PIRender: a window of face coefficients -> descriptor -> flow that warps the source -> edited image.

Source: RenYurui/PIRender at 9e59f19, generators/face_model.py and generators/base_function.py (layers, hence the names
of tensors), util/flow_util.py (what the flow means), config/face.yaml (sizes). The card is docs/cards/pirender.md.

Legend: B batch, n side of the images, D width of the descriptor.
Convention: inside, RGB is in [-1, 1]; leaky ReLUs have slope 0.1; every resampling has align_corners=False, as in the
training, under torch 1.7.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.baselines.shared.inputs import check_inputs
from model.frame.coords import identity_grid, resize_disp
from model.frame.warp import warp
from model.method.network import Made, Signals

SLOPE = 0.1
HIDDEN = 128  # of the layers that make scales and shifts of a descriptor
RES_BLOCKS = 2  # a level of the editing decoder


@dataclass(frozen=True)
class PIRenderConfig:
    """Sizes; the defaults are the released network's.

    Attributes:
        native_px: side of the images.
        coefficients: numbers a frame: 64 expression, 3 angles, 3 translation, 3 crop.
        window: frames; the driving one is in the middle.
        descriptor: numbers that describe the window.
        mapping_layers: dilated convolutions over time; each takes 6 frames off the window, after the first one's 6.
        warp_channels, warp_max: of the warping network's first level, and its most.
        warp_down, warp_up: levels down and up; the flow is 2^(warp_down - warp_up) times smaller than the image.
        edit_channels, edit_max: of the editing network's first level, and its most.
        edit_levels: levels down, and up again.
    """

    native_px: int = 256
    coefficients: int = 73
    window: int = 27
    descriptor: int = 256
    mapping_layers: int = 3
    warp_channels: int = 32
    warp_max: int = 256
    warp_down: int = 5
    warp_up: int = 3
    edit_channels: int = 64
    edit_max: int = 256
    edit_levels: int = 3

    def __post_init__(self) -> None:
        """Raise ValueError for a window that the convolutions use up, or a side that cannot be halved often enough."""
        if self.window <= 6 * (self.mapping_layers + 1):
            raise ValueError(f"window {self.window}: {self.mapping_layers} layers need more than "
                             f"{6 * (self.mapping_layers + 1)} frames")  # fmt: skip
        if self.native_px % 2 ** max(self.warp_down, self.edit_levels):
            raise ValueError(f"native_px {self.native_px} is no multiple of 2^{max(self.warp_down, self.edit_levels)}")


class Warped(NamedTuple):
    """What the first two networks compute.

    Attributes: style (B, D), the descriptor; flow (B, 2, n/4, n/4) in pixels of its own grid; warped (B, 3, n, n) in
    [-1, 1].
    """

    style: Tensor
    flow: Tensor
    warped: Tensor


class Rendered(NamedTuple):
    """All that the generator computes; images in [-1, 1].

    Attributes: descriptor (B, D, 1), flow (B, 2, n/4, n/4) in pixels of its own grid, warped (B, 3, n, n) and
    image (B, 3, n, n).
    """

    descriptor: Tensor
    flow: Tensor
    warped: Tensor
    image: Tensor


class PIRender(nn.Module):
    """The network; the state dict is `net_G_ema` of the release below `generator.`."""

    def __init__(self, config: PIRenderConfig | None = None) -> None:
        super().__init__()
        self.config = config or PIRenderConfig()
        self.native_px = self.config.native_px
        self.generator = FaceGenerator(self.config)

    def forward(self, source: Tensor, signals: Signals) -> Made:
        """Animate.

        Args:
            source: (B, 3, n, n) in [0, 1].
            signals: `coefficients` (B, 73, 27), the frames before and after the driving one; a frame is expression,
                angles, translation and crop (scale, x, y), from the crop that `source` has.

        Returns:
            The image in [0, 1], of a tanh; the panel `warped source`; as `own` a `Rendered`.

        Raises:
            ValueError: a source or signal of another shape.
        """
        config = self.config
        check_inputs(source, self.native_px, signals, {"coefficients": (config.coefficients, config.window)})
        made: Rendered = self.generator(source * 2 - 1, signals["coefficients"])
        return Made((made.image + 1) / 2, {"warped source": (made.warped + 1) / 2}, made)


class FaceGenerator(nn.Module):
    """Descriptor, warp, edit. The second p of `warpping_net` is the release's."""

    def __init__(self, config: PIRenderConfig) -> None:
        super().__init__()
        self.mapping_net = MappingNet(config)
        self.warpping_net = WarpingNet(config)
        self.editing_net = EditingNet(config)

    def forward(self, source: Tensor, coefficients: Tensor) -> Rendered:
        """Source (B, 3, n, n) in [-1, 1] and a window (B, 73, 27)."""
        style, flow, warped = self.warp(source, coefficients)
        return Rendered(style[:, :, None], flow, warped, self.edit(source, warped, style))

    def warp(self, source: Tensor, coefficients: Tensor) -> Warped:
        """Describe the window and warp the source as it asks for, unedited."""
        style = self.mapping_net(coefficients).flatten(1)
        flow = self.warpping_net(source, style)
        return Warped(style, flow, warp_by_flow(source, flow))

    def edit(self, source: Tensor, warped: Tensor, style: Tensor) -> Tensor:
        """Make the image (B, 3, n, n) of the source and of what became of it."""
        image: Tensor = self.editing_net(torch.cat([source, warped], 1), style)
        return image


def warp_by_flow(source: Tensor, flow: Tensor) -> Tensor:
    """Warp images (B, 3, n, n) by a flow (B, 2, h, w) in pixels of the flow's grid; outside is 0, mid grey.

    Quirk: positions count from corner pixel to corner pixel (-1 is the centre of the first), while they are resized
    and sampled as if -1 were its edge. Zero flow therefore shrinks the image by (w - 1) / w, which at the rim is half
    a pixel of the flow.
    """
    flow = flow.to(torch.promote_types(flow.dtype, torch.float32))  # bfloat16 cannot hold sub-pixel positions
    height, width = flow.shape[-2:]
    x = torch.linspace(-1, 1, width, device=flow.device, dtype=flow.dtype).expand(height, width)
    y = torch.linspace(-1, 1, height, device=flow.device, dtype=flow.dtype)[:, None].expand(height, width)
    spacing = flow.new_tensor([2 / (width - 1), 2 / (height - 1)])[:, None, None]
    position = resize_disp(torch.stack([x, y]) + flow * spacing, source.shape[-2:])
    return warp(source, position - identity_grid(source.shape[-2:], flow.device, flow.dtype), padding="zeros")


class MappingNet(nn.Module):
    """A window of coefficients (B, 73, 27) -> its descriptor (B, D, 1)."""

    def __init__(self, config: PIRenderConfig) -> None:
        super().__init__()
        width = config.descriptor
        self.first = nn.Sequential(nn.Conv1d(config.coefficients, width, 7))
        for i in range(config.mapping_layers):
            self.add_module(f"encoder{i}", nn.Sequential(nn.LeakyReLU(SLOPE), nn.Conv1d(width, width, 3, dilation=3)))

    def forward(self, window: Tensor) -> Tensor:
        """Nothing is padded: a layer is added to the middle of what it saw."""
        first, *layers = self.children()
        x: Tensor = first(window)
        for layer in layers:
            x = layer(x) + x[:, :, 3:-3]
        return x.mean(2, keepdim=True)


class AdaIN(nn.Module):
    """Instance norm whose scale and shift are made of the descriptor."""

    def __init__(self, channels: int, descriptor: int) -> None:
        super().__init__()
        self.mlp_shared = nn.Sequential(nn.Linear(descriptor, HIDDEN), nn.ReLU())
        self.mlp_gamma = nn.Linear(HIDDEN, channels)
        self.mlp_beta = nn.Linear(HIDDEN, channels)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Features (B, C, h, w) and a descriptor (B, D) -> features."""
        hidden = self.mlp_shared(style)
        scale, shift = (layer(hidden)[:, :, None, None] for layer in (self.mlp_gamma, self.mlp_beta))
        return F.instance_norm(x) * (1 + scale) + shift


class LayerNorm2d(nn.Module):
    """Normalise each image over channels and pixels together; scale and shift (C, 1, 1) are per channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """One group is the whole image: the layer norm over (C, H, W) with parameters of the channel."""
        return F.group_norm(x, 1, self.weight.flatten(), self.bias.flatten())


class WarpingNet(nn.Module):
    """Source and descriptor -> flow: an hourglass that comes up again only to a quarter of the size."""

    def __init__(self, config: PIRenderConfig) -> None:
        super().__init__()
        down, up = config.warp_down, config.warp_up
        wide = [min(config.warp_channels * 2**i, config.warp_max) for i in range(down + 1)]
        encoder: dict[str, nn.Module] = {"input_layer": nn.Conv2d(3, wide[0], 7, padding=3)}
        encoder |= {f"encoder{i}": DownBlock(wide[i], wide[i + 1], config.descriptor) for i in range(down)}
        decoder: dict[str, nn.Module] = {}
        for i in reversed(range(down - up, down)):
            joined = wide[i + 1] * (1 if i == down - 1 else 2)  # what comes up, beside what the encoder saw there
            decoder[f"decoder{i}"] = UpBlock(joined, wide[i], config.descriptor)
        self.hourglass = nn.ModuleDict({"encoder": nn.ModuleDict(encoder), "decoder": nn.ModuleDict(decoder)})
        last = 2 * wide[down - up]
        self.flow_out = nn.Sequential(LayerNorm2d(last), nn.LeakyReLU(SLOPE), nn.Conv2d(last, 2, 7, padding=3))

    def forward(self, source: Tensor, style: Tensor) -> Tensor:
        """Images (B, 3, n, n) and descriptors (B, D) -> flow (B, 2, n/4, n/4)."""
        first, *downs = self.hourglass["encoder"].children()
        seen = [first(source)]
        for block in downs:
            seen.append(block(seen[-1], style))
        x = seen.pop()
        for block in self.hourglass["decoder"].children():
            x = torch.cat([block(x, style), seen.pop()], 1)
        return self.flow_out(x)


class DownBlock(nn.Module):
    """Halve the size: norm, activation and convolution, twice."""

    def __init__(self, channels: int, wider: int, descriptor: int) -> None:
        super().__init__()
        self.conv_0 = nn.Conv2d(channels, wider, 4, stride=2, padding=1)
        self.conv_1 = nn.Conv2d(wider, wider, 3, padding=1)
        self.norm_0 = AdaIN(channels, descriptor)
        self.norm_1 = AdaIN(wider, descriptor)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C', h/2, w/2)."""
        x = self.conv_0(F.leaky_relu(self.norm_0(x, style), SLOPE))
        return self.conv_1(F.leaky_relu(self.norm_1(x, style), SLOPE))


class UpBlock(nn.Module):
    """Double the size, with a shortcut that is normalised and activated too."""

    def __init__(self, channels: int, narrower: int, descriptor: int) -> None:
        super().__init__()
        self.conv_0 = nn.Conv2d(channels, narrower, 3, padding=1)
        self.conv_1 = nn.ConvTranspose2d(narrower, narrower, 3, stride=2, padding=1, output_padding=1)
        self.conv_s = nn.ConvTranspose2d(channels, narrower, 3, stride=2, padding=1, output_padding=1)
        self.norm_0 = AdaIN(channels, descriptor)
        self.norm_1 = AdaIN(narrower, descriptor)
        self.norm_s = AdaIN(channels, descriptor)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C', 2h, 2w)."""
        shortcut = self.conv_s(F.leaky_relu(self.norm_s(x, style), SLOPE))
        x = self.conv_0(F.leaky_relu(self.norm_0(x, style), SLOPE))
        return shortcut + self.conv_1(F.leaky_relu(self.norm_1(x, style), SLOPE))


class EditingNet(nn.Module):
    """Source beside warped source -> image, told by the descriptor."""

    def __init__(self, config: PIRenderConfig) -> None:
        super().__init__()
        levels = config.edit_levels
        wide = [min(config.edit_channels * 2**i, config.edit_max) for i in range(levels + 1)]
        encoder: dict[str, nn.Module] = {"first": Block(6, wide[0], kernel=7)}
        encoder |= {f"down{i}": Block(wide[i], wide[i + 1]) for i in range(levels)}
        decoder: dict[str, nn.Module] = {"final": Final(wide[0])}
        for i in range(levels):
            decoder[f"up{i}"] = Block(wide[i + 1], wide[i])
            decoder[f"res{i}"] = nn.ModuleDict(
                {f"res{j}": HalfDeadBlock(wide[i + 1], config.descriptor) for j in range(RES_BLOCKS)}
            )
            decoder[f"jump{i}"] = Block(wide[i], wide[i])
        self.levels = levels
        self.encoder = nn.ModuleDict(encoder)
        self.decoder = nn.ModuleDict(decoder)

    def forward(self, images: Tensor, style: Tensor) -> Tensor:
        """Two images (B, 6, n, n) and descriptors (B, D) -> image (B, 3, n, n) in [-1, 1]."""
        seen = [self.encoder["first"](images)]
        for i in range(self.levels):
            seen.append(F.avg_pool2d(self.encoder[f"down{i}"](seen[-1]), 2))
        x = seen.pop()
        for i in reversed(range(self.levels)):
            for block in self.decoder[f"res{i}"].children():
                x = block(x, style)
            x = self.decoder[f"up{i}"](F.interpolate(x, scale_factor=2, mode="nearest"))
            x = x + self.decoder[f"jump{i}"](seen.pop())
        return self.decoder["final"](x)


class Block(nn.Module):
    """Convolution, layer norm and activation at one size."""

    def __init__(self, channels: int, outputs: int, kernel: int = 3) -> None:
        super().__init__()
        conv = nn.Conv2d(channels, outputs, kernel, padding=kernel // 2)
        self.model = nn.Sequential(conv, LayerNorm2d(outputs), nn.LeakyReLU(SLOPE))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C', h, w)."""
        return self.model(x)


class Final(nn.Module):
    """The last convolution, and tanh."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Conv2d(channels, 3, 7, padding=3), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, n, n) -> (B, 3, n, n) in [-1, 1]."""
        return self.model(x)


class HalfDeadBlock(nn.Module):
    """One convolution and its norm, added to the input.

    Quirk: the published block computes `conv1` and `norm1` and throws them away, then applies `conv2` to the block's
    input, with no activation anywhere. The released weights are of that function, so `conv1` and `norm1` are loaded,
    saved and never used; they have no gradient.
    """

    def __init__(self, channels: int, descriptor: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm1 = AdaIN(channels, descriptor)
        self.norm2 = AdaIN(channels, descriptor)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """(B, C, h, w) -> the same shape."""
        return x + self.norm2(self.conv2(x), style)
