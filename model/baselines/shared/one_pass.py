"""Convolutions of the same features, which a checkpoint keeps apart, as one."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def in_one_pass(features: Tensor, layers: Sequence[nn.Module], padding: int, gain: float = 1.0) -> tuple[Tensor, ...]:
    """What several convolutions of one kernel's size make of the same features, which are read once; so in backward.

    Args:
        features: (B, K, h, w).
        layers: what has a weight (C, K, k, k), each its own C, and a bias (C,).
        padding: zeros around the features, of all.
        gain: factor on all weights.

    Returns:
        Of each layer (B, C, h', w').
    """
    weights, biases = ([cast(Tensor, getattr(layer, name)) for layer in layers] for name in ("weight", "bias"))
    weight = torch.cat(weights) * gain if gain != 1 else torch.cat(weights)
    made = F.conv2d(features, weight, torch.cat(biases), padding=padding)
    return made.split([len(own) for own in weights], 1)
