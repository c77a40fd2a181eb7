"""Where FOMM's weights start before training; never for released ones."""

import torch

from model.baselines.fomm.network import Fomm

COLOURS = 3
SLOPE = 1.2  # logits per standard deviation of a colour: about 5 per unit of brightness
BIAS = 0.15  # logits of the mean colour
SEEN = 2.0  # logits of the occlusion map: 0.88 of the warped features are let through


def published_start(network: Fomm) -> None:
    """Let every keypoint's local map be the identity.

    Source: modules/keypoint_detector.py at c027484.
    """
    with torch.no_grad():
        maps = network.kp_detector.jacobian
        maps.weight.zero_()
        assert maps.bias is not None
        maps.bias.copy_(torch.eye(2).flatten().repeat(network.config.num_kp))


def start_near_source(network: Fomm) -> None:
    """Let the generator return about what it is given, so that the image starts as the warped source.

    Each colour, normalised, is carried through the rectifier in two channels, of what is above its mean and of what is
    below. Residual blocks start as the identity, the occlusion map as nearly 1. All other channels start as they were,
    with a tenth of their weight in the image.

    Args:
        network: without levels of the generator that halve (`num_down` 0), and at least 6 channels wide.
    """
    generator = network.generator
    first, final = generator.first.conv, generator.final
    middle = first.weight.shape[-1] // 2
    with torch.no_grad():
        first.weight[: 2 * COLOURS] = 0
        first.bias[: 2 * COLOURS] = 0
        final.weight.mul_(0.1)
        final.weight[:, : 2 * COLOURS] = 0
        final.bias.fill_(BIAS)
        for colour in range(COLOURS):
            for sign, channel in ((1, colour), (-1, colour + COLOURS)):
                first.weight[channel, colour, middle, middle] = sign
                final.weight[colour, channel, middle, middle] = sign * SLOPE
        for block in generator.bottleneck:
            block.conv2.weight.zero_()
            block.conv2.bias.zero_()
        occlusion = generator.dense_motion_network.occlusion
        occlusion.weight.mul_(0.1)
        occlusion.bias.fill_(SEEN)
