"""Where LSR's training may start: at the source, blurred. Ours: the published one starts at weights drawn at random.

A drawn network shows the source to nobody for thousands of steps. Where all levels are equally wide no shortcut is
convolved, and a straight way leads from the source's colours through the style's code to the image: here it is laid
in weights, and what lies beside it is made small. Training is then free to change everything.
"""

from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F

from model.baselines.lsr.network import RGB, Conv, Dense, EncoderBlock, Lsr, LsrConfig, SpadeBlock

CODE, FIRST, ASIDE = 0.3, 0.5, 0.1  # what is left of drawn weights: of the code's rest, the first image's, the blocks'


def check_can_start_at_source(config: LsrConfig) -> None:
    """Raise ValueError unless all levels are equally wide and the code holds the source at the encoder's last size."""
    places = (config.start_px // 2) ** 2
    if config.channels < config.most:
        raise ValueError(
            f"LSR starts at the blurred source where all levels are equally wide: channels {config.channels} is less "
            f"than most {config.most}"
        )
    if config.style < RGB * places:
        raise ValueError(f"LSR starts at the blurred source with {RGB} numbers for {places} places, not {config.style}")


@torch.no_grad()
def start_at_source(network: Lsr) -> None:
    """Change freshly drawn weights in place, so that the image is about the source, averaged over the code's places.

    Raises:
        ValueError: see `check_can_start_at_source`.
    """
    config = network.config
    check_can_start_at_source(config)
    encoder, generator = network.network.encoder, network.network.generator
    first = cast(Conv, encoder.blocks["0"])
    first.weight[:RGB] = 0
    _pass_colours(first, 1)  # [-1, 1] becomes [0, 2], which the rectifiers let through
    for block in encoder.blocks.children():
        if isinstance(block, EncoderBlock):
            block.conv_block1.weight.mul_(ASIDE)
    _into_code(encoder.fc_z, config)
    _out_of_code(cast(Dense, generator.blocks["0"]), config)
    for block in generator.blocks.children():
        if isinstance(block, SpadeBlock):
            block.conv_block1.conv.weight.mul_(ASIDE)
    generator.to_rgb.weight.mul_(ASIDE)
    generator.to_rgb.weight[:, :RGB] = 0
    _pass_colours(generator.to_rgb, -1)


def _pass_colours(conv: Conv, more: float) -> None:
    """Make the first three channels of a convolution those before it, and `more`."""
    middle = conv.weight.shape[-1] // 2
    conv.weight[:RGB, :RGB, middle, middle] = torch.eye(RGB) / conv.scale
    assert conv.bias is not None
    conv.bias[:RGB] = more


def _into_code(dense: Dense, config: LsrConfig) -> None:
    """The code's first numbers: colours of each place, in [-1, 1] again."""
    places = (config.start_px // 2) ** 2
    taken = RGB * places
    dense.weight.mul_(CODE)
    dense.weight[:taken] = 0
    by_place = dense.weight[:taken].view(places, RGB, places, -1)  # of the code, and of what is seen
    by_place[torch.arange(places), :, torch.arange(places), :RGB] = torch.eye(RGB) / dense.scale
    dense.bias[:taken] = -1


def _out_of_code(dense: Dense, config: LsrConfig) -> None:
    """The first image's first channels: the places' colours in [0, 2], spread evenly between their centres."""
    side, places = config.start_px, (config.start_px // 2) ** 2
    dense.weight.mul_(FIRST)
    by_place = dense.weight.view(side**2, -1, config.style)
    by_place[:, :RGB] = 0
    for channel in range(RGB):
        by_place[:, channel, channel : RGB * places : RGB] = _spread(side) / dense.scale
    dense.bias.view(side**2, -1)[:, :RGB] = 1


def _spread(side: int) -> Tensor:
    """What each pixel of an image of this side takes of each place of half of it, (side^2, places)."""
    half = side // 2
    one_each = torch.eye(half**2).view(-1, 1, half, half)
    return F.interpolate(one_each, (side, side), mode="bilinear", align_corners=False).flatten(1).T
