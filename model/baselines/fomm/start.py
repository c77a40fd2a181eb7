"""Where FOMM's weights start before training; never for released ones."""

import math

import torch
from torch import nn

from model.baselines.fomm.network import Fomm

# Of red, green and blue: logits of the mean of frames, which are red rather than blue.
MEANS = (0.3, 0.0, -0.13)
SLOPE = 1.1  # logits per standard deviation of a colour
CHANNELS = 2 * len(MEANS)
SEEN = 3.0  # logits of the occlusion map: 0.95 of the warped features are let through


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

    Each colour, normalised, passes the rectifier in two channels, as what is above its mean and as what is below, of
    which the last convolution makes the image. Residual blocks start as the identity, the occlusion map as nearly 1.
    All other channels start as they were, and have no part in the first image.

    Args:
        network: without levels of the generator that halve (`num_down` 0), and at least `CHANNELS` wide.
    """
    generator = network.generator
    first, final = generator.first.conv, generator.final
    assert isinstance(first, nn.Conv2d)
    middle = first.weight.shape[-1] // 2
    with torch.no_grad():
        first.weight[:CHANNELS] = 0
        final.weight.zero_()
        assert final.bias is not None
        for colour, mean in enumerate(MEANS):
            final.bias[colour] = mean
            for channel, sign in ((2 * colour, 1), (2 * colour + 1, -1)):
                first.weight[channel, colour, middle, middle] = sign
                final.weight[colour, channel, middle, middle] = sign * SLOPE * (1 + math.exp(-SEEN))
        for block in generator.bottleneck:
            for parameter in block.get_submodule("conv2").parameters():
                parameter.zero_()
        occlusion = generator.dense_motion_network.occlusion
        occlusion.weight.mul_(0.1)
        assert occlusion.bias is not None
        occlusion.bias.fill_(SEEN)
