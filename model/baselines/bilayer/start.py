"""Where a short training of Bi-Layer starts: at the source as it is, instead of at noise.

Not published: the released network was trained for weeks from torch's own first weights. Spectral norms divide any
scale of a weight away, so a quiet start is not a matter of small weights: the last norms of both generators are given
a small scale, and the enhancer is given weights by which it follows the gradient that it is shown.
"""

from typing import Any

import torch
from torch import Tensor, nn

from model.baselines.bilayer.network import RGB, BiLayer, EnhancerNet

SIGNS = 2  # the gradient passes the activations as itself and as its negative
GAIN = 3.0  # of first weights, which spectral norms divide away again: the larger, the slower a rate turns them
SMOOTHING = (1.0, 4.0, 1.0)  # of the enhancer's last convolution, which sees every number of the half size twice


@torch.no_grad()
def start_quietly(network: BiLayer, scale: float) -> None:
    """Change an untrained network's weights so that it shows the source, almost.

    Args:
        network: changed in place.
        scale: of what both generators' heads read, in the place of 1.

    Raises:
        ValueError: the enhancer has no more channels than a gradient by three colours and its negative.
    """
    inference, texture = network.inference_generator, network.texture_generator
    for part in network.children():
        normed: list[Any] = [module for module in part.modules() if hasattr(module, "weight_orig")]
        for layer in normed:
            nn.init.orthogonal_(layer.weight_orig, 1.0 if part is network.texture_enhancer else GAIN)
            if part in (network.identity_embedder, network.keypoints_embedder):
                layer.bias.zero_()
    last_inference: Any = inference.prj_inf.fc_blocks[-1]
    last_texture: Any = texture.prj_tex.fc_blocks[-1]
    _quiet(last_inference[-1], 0, scale)
    _quiet(last_texture[-2], -1, scale)
    _quiet(last_texture[-1], -1, 1.0)
    heads: list[Any] = [*inference.gen_inf.heads, *texture.gen_tex.heads]
    for head in heads:
        head[0].bias.zero_()
    _follow_the_gradient(network.texture_enhancer.net)


def _quiet(predicts: Any, place: int, scale: float) -> None:
    """Let the three layers that predict a norm begin with one scale for everyone, and all else they predict at 0.

    Args:
        predicts: changed in place.
        place: of the scale in what they predict.
        scale: of which.
    """
    _, middle, last = predicts
    middle.weight_orig[:-1] = 0.0  # of what it finds only the last number is not 0 ...
    last.weight_orig[:, -1] = 0.0  # ... and that nobody reads yet
    middle.bias[:-1] = 0.0
    last.weight_orig[place] = 0.0
    last.bias.zero_()
    last.bias[place] = scale - 1


def _follow_the_gradient(net: EnhancerNet) -> None:
    """Let the first channels carry the gradient through all blocks, at half size, and the last convolution take it."""
    layers: list[Any] = list(net.blocks)
    first, *blocks, _, _, last = layers
    half = blocks[0].block[0].out_channels
    used = SIGNS * RGB
    if min(first.out_channels, half) <= used:
        raise ValueError(
            f"the enhancer has {first.out_channels} and {half} channels, but needs {used + 1} to carry a gradient and "
            "what it learns beside it"
        )
    _carry(first.weight_orig, used)
    first.weight_orig[:RGB, RGB:, 1, 1] = torch.eye(RGB)
    first.weight_orig[RGB:used, RGB:, 1, 1] = -torch.eye(RGB)
    first.bias[:used] = 0.0
    for block in blocks:
        main = block.block[0]
        main.weight_orig[:used] = 0.0  # what a block adds goes to the other channels
        main.bias[:used] = 0.0
        if isinstance(block.skip, nn.Sequential):
            skip: Any = next(layer for layer in block.skip if isinstance(layer, nn.Conv2d))
            _carry(skip.weight_orig, used)
            skip.weight_orig[:used, :used, 0, 0] = torch.eye(used)
            skip.bias[:used] = 0.0
    line = torch.tensor(SMOOTHING)
    last.weight_orig.zero_()
    for colour in range(RGB):
        last.weight_orig[colour, colour] = -torch.outer(line, line)
        last.weight_orig[colour, RGB + colour] = torch.outer(line, line)
    last.bias.zero_()


def _carry(weight: Tensor, used: int) -> None:
    """Empty the rows of the channels in use, and make the others too small to count in the largest singular value."""
    weight[:used] = 0.0
    weight[used:] *= 0.5
