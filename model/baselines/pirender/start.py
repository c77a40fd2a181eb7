"""Weights that a short training begins with: the image is the warped source, nearly, told by the driving frame alone.

Choice: the published training begins with its library's random weights, of which the editing network needs thousands
of steps before it hands an image on, and whose descriptors say more of the frames around the driving one than of it.
"""

import math

import torch
from torch import Tensor, nn

from model.baselines.pirender.network import SLOPE, PIRender

RGB = 3
CONSTANT = 12.0  # of the two constant channels
POWER = 0.3  # mean square of an image in [-1, 1], as the gain is made for
ADDED = 0.1  # share of a layer's first weights, in the mapping network
CONTRAST = 1.12  # of which the tanh leaves most of an image as it was, to 0.05


def start_as_copy(network: PIRender) -> None:
    """Let the editing network hand on the warped source, and the mapping network look at the driving frame, in place.

    What leaky units make of a channel and of its negative differs by the channel itself, so six channels carry an
    image through them. Norms over channels and pixels would rescale each image by its own contrast: two constant
    channels outweigh it, so that all are rescaled nearly alike. What comes up from below begins at 0.

    The mapping network's first convolution begins with its middle tap, as large as all taps together, and what its
    layers add begins small.

    Args:
        network: freshly made.

    Raises:
        ValueError: the first level of the editing network has too few channels.
    """
    editing, mapping = network.generator.editing_net, network.generator.mapping_net
    first, jump, final = (
        editing.get_submodule(f"{name}.model.0") for name in ("encoder.first", "decoder.jump0", "decoder.final")
    )
    width = len(first.get_parameter("weight"))
    if width < 2 * RGB + 2:
        raise ValueError(f"edit_channels {width}: an image is carried by {2 * RGB + 2} channels, or more")
    through = 1 + SLOPE  # leaky(x) - leaky(-x) is that many x
    kept = through * POWER**0.5 / _norm(width, POWER)
    gain = CONTRAST / (through / _norm(width, POWER)) / (through / _norm(width, kept**2))
    with torch.no_grad():
        window = mapping.get_parameter("first.0.weight")
        taps = window.shape[-1]
        middle = window[:, :, taps // 2] * taps**0.5
        window.zero_()
        window[:, :, taps // 2] = middle
        for layer in range(network.config.mapping_layers):
            mapping.get_parameter(f"encoder{layer}.1.weight").mul_(ADDED)
            mapping.get_parameter(f"encoder{layer}.1.bias").zero_()
        carry(first, range(RGB, 2 * RGB), None)
        carry(jump, range(RGB), range(RGB, 2 * RGB))
        shown = final.get_parameter("weight").zero_()
        final.get_parameter("bias").zero_()
        tap(shown, range(RGB), range(RGB), gain)
        tap(shown, range(RGB), range(RGB, 2 * RGB), -gain)
        for parameter in editing.get_submodule("decoder.up0.model.1").parameters():
            parameter.zero_()


def carry(conv: nn.Module, image: range, negative: range | None) -> None:
    """Let the first channels of a convolution be an image, its negative, and two constants.

    Args:
        conv: its other channels stay as they are.
        image: which of its inputs are the image.
        negative: which are the image's negative, after leaky units; None where the inputs are the image itself.
    """
    weight, bias = conv.get_parameter("weight"), conv.get_parameter("bias")
    weight[: 2 * RGB + 2] = 0
    bias[: 2 * RGB] = 0
    for outputs, sign in ((range(RGB), 1.0), (range(RGB, 2 * RGB), -1.0)):
        tap(weight, outputs, image, sign)
        if negative is not None:
            tap(weight, outputs, negative, -sign)
    bias[2 * RGB], bias[2 * RGB + 1] = CONSTANT, -CONSTANT


def tap(weight: Tensor, outputs: range, inputs: range, value: float) -> None:
    """Set what each of some outputs takes from the middle pixel of its input."""
    middle = weight.shape[-1] // 2
    for output, given in zip(outputs, inputs, strict=True):
        weight[output, given, middle, middle] = value


def _norm(width: int, power: float) -> float:
    """What a norm divides by, where the carried image has that mean square and the other channels are small."""
    return math.sqrt((2 * RGB * power + 2 * CONSTANT**2) / width)
