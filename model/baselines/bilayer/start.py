"""Where a short training of Bi-Layer starts: at the source as it is, instead of at noise.

Not published: the released network was trained for weeks from torch's own first weights. Spectral norms divide any
scale of a weight away, so a quiet start is not a matter of small weights: the last norms of both generators are given
a small scale, and the enhancer is given weights by which it follows the gradient that it is shown.
"""

import torch
from torch import Tensor, nn

from model.baselines.bilayer.blocks import ResBlock
from model.baselines.bilayer.network import RGB, BiLayer, EnhancerNet, PoseEmbedder

SIGNS = 2  # the gradient passes the activations as itself and as its negative
SMOOTHING = (1.0, 4.0, 1.0)  # of the enhancer's last convolution, which sees every number of the half size twice


@torch.no_grad()
def start_quietly(network: BiLayer, scale: float) -> None:
    """Change an untrained network's weights so that it shows the source, almost.

    Args:
        network: changed in place.
        scale: of what both generators' heads read, in the place of 1.

    Raises:
        ValueError: the enhancer has fewer channels than a colour gradient and its negative.
    """
    inference, texture = network.inference_generator.prj_inf, network.texture_generator.prj_tex
    for block, of_scale in ((inference.fc_blocks[-1], -1), (texture.fc_blocks[-1], -2)):  # the last norm's
        last = block[of_scale][-1]  # type: ignore[index]
        place = 0 if of_scale == -1 else -1  # one number a channel, or the bias of a convolution
        last.bias[place] = scale - 1
        last.weight_orig[place] = 0.0
    for generator in (network.inference_generator.gen_inf, network.texture_generator.gen_tex):
        for head in generator.heads:
            head[0].bias.zero_()  # type: ignore[index]
    _follow_the_gradient(network.texture_enhancer.net)


def _follow_the_gradient(net: EnhancerNet) -> None:
    """Let the first channels carry the gradient through all blocks, at half size, and the last convolution take it."""
    first, *blocks, _, _, last = net.blocks
    used = SIGNS * RGB
    if first.out_channels < used:
        raise ValueError(f"the enhancer has {first.out_channels} channels, but needs {used} to carry a gradient")
    _carry(first.weight_orig, used)
    first.weight_orig[:RGB, RGB:, 1, 1] = torch.eye(RGB)
    first.weight_orig[RGB:used, RGB:, 1, 1] = -torch.eye(RGB)
    first.bias[:used] = 0.0
    for block in blocks:
        assert isinstance(block, ResBlock)
        main = block.block[0]
        main.weight_orig[:used] = 0.0  # what a block adds goes to the other channels
        main.bias[:used] = 0.0
        if isinstance(block.skip, nn.Sequential):
            skip = next(layer for layer in block.skip if isinstance(layer, nn.Conv2d))
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
