"""Weights that 3D-FOMM may begin a training with, where torch's own would cost a short one most of its steps."""

import torch
from torch import Tensor, nn

from model.baselines.fomm3d.network import Fomm3d, Generator
from model.baselines.fomm3d.pose import NUM_BINS, Bottleneck, PoseEstimator
from model.baselines.shared.hourglass import Residual

RESIDUE = 0.2  # gain of the last norm within a residual block of the pose estimator
CONTRAST = 1.0  # logits per standard deviation of a colour, about those of a picture around mid-grey
COLOURS = 3
SIGNED = 2 * COLOURS  # colours above and below their mean, which a rectifier parts


def start_near_source(network: Fomm3d) -> None:
    """Give poses and pictures a start; what is not named keeps the weights that it has.

    Choice: the network begins as a blurred, warped copy of its source with a pose that answers to the picture, so that
    the image's error says at once where heads are to be moved to.

    Raises:
        ValueError: the decoder is not the original one, or too narrow to carry colours.
    """
    start_pose(network.he_estimator)
    start_picture(network.generator)


def start_pose(estimator: PoseEstimator) -> None:
    """Let poses begin small, and in step with the features; drawn from torch's stream.

    Translations and expressions begin at nothing: drawn as torch draws them they throw keypoints out of the frame. Each
    angle's logits begin as a ramp over its bins times a random direction of the features: their mean is then as good as
    linear in the features, while of independent rows hardly anything reaches it. Residual blocks begin near the
    identity, so that the sixteen of them learn like few.
    """
    for layer in (estimator.fc_t, estimator.fc_exp):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    for layer in (estimator.fc_roll, estimator.fc_pitch, estimator.fc_yaw):
        direction = torch.randn(layer.in_features) / layer.in_features**0.5
        _set(layer.get_parameter("weight"), torch.linspace(-1, 1, NUM_BINS)[:, None] * direction)
        nn.init.zeros_(layer.bias)
    for block in estimator.modules():
        if isinstance(block, Bottleneck):
            nn.init.constant_(block.norm3.weight, RESIDUE)


@torch.no_grad()
def start_picture(generator: Generator) -> None:
    """Let the first channels carry the source's colours, blurred, through volume and warp to the image.

    Raises:
        ValueError: the decoder is not the original one, or too narrow to carry colours.
    """
    depth, inputs = generator.depth, generator.second.out_channels // generator.depth
    if generator.spade or min(inputs, generator.first.norm.num_features) < SIGNED:
        raise ValueError(
            f"3D-FOMM starts near its source with the decoder `original` alone, and with at least {SIGNED} channels at "
            f"each place, of the volume too: largest / depth is {inputs}"
        )
    join = torch.cat([torch.eye(COLOURS), -torch.eye(COLOURS)], 1)  # colours (3) from signed colours (6)
    part = join.T
    again = part @ join  # (6, 6): signed colours from signed colours
    _carry(generator.first.conv, part)
    for block in (*generator.down_blocks, *generator.up_blocks):
        _carry(block.conv, again)
    spread = torch.zeros(SIGNED * depth, SIGNED)  # channel c of the volume at every depth
    spread.view(SIGNED, depth, SIGNED)[:] = torch.eye(SIGNED)[:, None]
    _carry(generator.second, spread)
    _carry(generator.third.conv, again @ spread.T / depth)
    _carry(generator.fourth, torch.eye(SIGNED))
    for block in (*generator.resblocks_3d, *generator.resblocks_2d):
        assert isinstance(block, Residual)
        for parameter in block.get_submodule("conv2").parameters():
            nn.init.zeros_(parameter)
    _carry(generator.final, CONTRAST * join)


def _carry(layer: nn.Module, weights: Tensor) -> None:
    """Let the first outputs be this mixture (outputs, inputs) of the first inputs, in place, and of nothing else."""
    weight, bias = layer.get_parameter("weight"), layer.get_parameter("bias")
    outputs, inputs = weights.shape
    middle = [size // 2 for size in weight.shape[2:]]
    weight[:outputs] = 0
    bias[:outputs] = 0
    index: tuple[slice | int, ...] = (slice(outputs), slice(inputs), *middle)
    weight[index] = weights


def _set(parameter: nn.Parameter, value: Tensor) -> None:
    with torch.no_grad():
        parameter.copy_(value)
