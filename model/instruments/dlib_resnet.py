"""dlib's face recognition network: 128 numbers that lie close together for pictures of one person.

Source: dlib_face_recognition_resnet_model_v1.dat of davisking/dlib-models (CC0), network `anet_type` of
dlib/tools/python/src/face_recognition.cpp. Quirks kept: convolutions and pools that halve have no padding; the shortcut
around a block that halves is a 2 x 2 average, and what is smaller, in channels, rows or columns, is filled with zeros
at its end; each convolution is followed by a learnt scale and shift a channel, folded into it here.

Legend: B faces of 150 x 150 px, C channels, (h, w) a map's size.
"""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.frame.images import check_images
from model.instruments.stored import load_stored
from model.releases.dlib_dat import DlibLayer, read_dat

CHIP_PX = 150
DESCRIPTOR = 128
STEM_WIDTH = 32
STAGES = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))  # width, blocks, halves first
MEAN_RGB = (122.782, 117.001, 104.298)  # grey levels, 0-255
SCALE = 256.0  # what grey levels are divided by
EXPECTED = "dlib_face_recognition_resnet_model_v1.dat"


class Block(nn.Module):
    """Two 3 x 3 convolutions around a shortcut."""

    def __init__(self, inputs: int, width: int, halves: bool) -> None:
        super().__init__()
        self.halves = halves
        self.first = nn.Conv2d(inputs, width, 3, 2, 0) if halves else nn.Conv2d(inputs, width, 3, 1, 1)
        self.second = nn.Conv2d(width, width, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, width, h, w), or half as high and wide, not negative."""
        shortcut = F.avg_pool2d(x, 2, 2) if self.halves else x
        found = self.second(F.relu(self.first(x)))
        sides = [max(pair) for pair in zip(shortcut.shape[1:], found.shape[1:], strict=True)]
        return F.relu(_filled(shortcut, sides) + _filled(found, sides))


class DlibResnet(nn.Module):
    """Descriptor (B, 128) of aligned faces; its length is near 1 for faces, and not made so."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, STEM_WIDTH, 7, 2, 0)
        widths = [STEM_WIDTH, *(width for width, count, _ in STAGES for _ in range(count))]
        halves = [first and number == 0 for _, count, first in STAGES for number in range(count)]
        self.blocks = nn.Sequential(*map(Block, widths[:-1], widths[1:], halves))
        self.descriptor = nn.Linear(widths[-1], DESCRIPTOR, bias=False)
        self.register_buffer("mean", torch.tensor(MEAN_RGB)[:, None, None], persistent=False)

    def forward(self, face: Tensor) -> Tensor:
        """Look at faces (B, 3, 150, 150) in [0, 1] as `model.instruments.face_chips.face_chips` cuts them out.

        Raises:
            ValueError: they are of another size.
        """
        check_images(face)
        if face.shape[-2:] != (CHIP_PX, CHIP_PX):
            raise ValueError(f"the network takes faces of {CHIP_PX} x {CHIP_PX} px, not {tuple(face.shape[-2:])}")
        x = F.relu(self.stem((255.0 * face - self.mean) / SCALE))
        x = self.blocks(F.max_pool2d(x, 3, 2))
        return self.descriptor(x.mean((2, 3)))


def load_dlib_resnet(path: Path) -> DlibResnet:
    """Load what `convert` made, stored as safetensors; frozen, in inference mode. Errors as in `load_stored`."""
    return load_stored(DlibResnet, path)


def convert(path: Path) -> dict[str, Tensor]:
    """Turn dlib's file into the state of `DlibResnet`, float32; nothing in the file is run.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is truncated, damaged or holds something else; the message names the file and says what it is.
    """
    network = read_dat(path, EXPECTED)
    means = zip(network.mean_rgb, MEAN_RGB, strict=True)
    if network.size_hw != (CHIP_PX, CHIP_PX) or any(abs(found - known) > 1e-4 for found, known in means):
        raise ValueError(f"{path} is a network for images of {network.size_hw} px; expected {EXPECTED}")
    with torch.device("meta"):
        plan = list(_plan(DlibResnet()))
    for number, (layer, (kind, numbers, _, count)) in enumerate(zip(network.layers, plan, strict=False), 1):
        found = (layer.name, layer.numbers[: len(numbers)], 0 if layer.tensor is None else layer.tensor.numel())
        if found != (kind, numbers, count):
            raise ValueError(
                f"{path} is another network of dlib: its layer {number} is {found[0]} {found[1]} with {found[2]} "
                f"numbers, not {kind} {numbers} with {count}; expected {EXPECTED}"
            )
    if len(network.layers) != len(plan):
        raise ValueError(f"{path} has {len(network.layers)} layers, not {len(plan)}: truncated; expected {EXPECTED}")
    layers = network.layers
    state: dict[str, Tensor] = {}
    for place, (kind, _, name, _) in enumerate(plan):
        if kind == "con_4":
            state |= _folded(name, layers[place], layers[place + 1])
        elif kind == "fc_2":
            state[f"{name}.weight"] = _values(layers[place]).view(-1, DESCRIPTOR).T.contiguous()
    return state


def _filled(x: Tensor, sides: list[int]) -> Tensor:
    """Put zeros behind the channels, rows and columns of (B, C, h, w) until it has these sides."""
    channels, height, width = (wanted - own for wanted, own in zip(sides, x.shape[1:], strict=True))
    return F.pad(x, (0, width, 0, height, 0, channels)) if channels or height or width else x


def _plan(net: DlibResnet) -> Iterator[tuple[str, tuple[int, ...], str, int]]:
    """The layers of the file: its name of each, its first integers, our name, how many parameters it has."""

    def convolution(name: str, conv: nn.Conv2d) -> Iterator[tuple[str, tuple[int, ...], str, int]]:
        assert conv.bias is not None
        numbers = (conv.out_channels, *conv.kernel_size, *conv.stride, *(int(side) for side in conv.padding))
        yield "con_4", numbers, name, conv.weight.numel() + conv.bias.numel()
        yield "affine_", (), name, 2 * conv.out_channels

    yield from convolution("stem", net.stem)
    yield "relu_", (), "", 0
    yield "max_pool_2", (3, 3, 2, 2, 0, 0), "", 0
    for number, block in enumerate(net.blocks):
        assert isinstance(block, Block)
        yield from convolution(f"blocks.{number}.first", block.first)
        yield "relu_", (), "", 0
        yield from convolution(f"blocks.{number}.second", block.second)
        if block.halves:
            yield "avg_pool_2", (2, 2, 2, 2, 0, 0), "", 0
        yield "add_prev_", (), "", 0
        yield "relu_", (), "", 0
    yield "avg_pool_2", (0, 0, 1, 1, 0, 0), "", 0  # over all rows and columns
    yield "fc_2", (DESCRIPTOR, net.descriptor.in_features), "descriptor", net.descriptor.weight.numel()


def _folded(name: str, conv: DlibLayer, affine: DlibLayer) -> dict[str, Tensor]:
    """One convolution that does what a convolution and the scale and shift behind it do; in float64, then rounded."""
    filters, height, width = conv.numbers[:3]
    kernel, bias = _values(conv).double().split([len(_values(conv)) - filters, filters])
    factor, shift = _values(affine).double().split(filters)
    weight = kernel.view(filters, -1, height, width) * factor[:, None, None, None]
    return {f"{name}.weight": weight.float(), f"{name}.bias": (bias * factor + shift).float()}


def _values(layer: DlibLayer) -> Tensor:
    assert layer.tensor is not None
    return layer.tensor
