"""The norm of SPADE (Park et al., CVPR 2019), where a checkpoint keeps its scale and its shift as two convolutions."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def spade(normed: Tensor, hidden: Tensor, gamma: nn.Module, beta: nn.Module, gain: float = 1.0) -> Tensor:
    """Scale and shift normalised features by what two convolutions make of others: normed * (1 + gamma) + beta.

    One convolution makes both: it reads `hidden` once, and so does its gradient.

    Args:
        normed: (B, C, h, w), normalised.
        hidden: (B, K, h, w).
        gamma: what has the weight (C, K, k, k), k odd, and the bias (C,) of the scale's convolution.
        beta: the same of the shift's.
        gain: factor on both weights.

    Returns:
        (B, C, h, w).
    """
    layers = (gamma, beta)
    weight = torch.cat([cast(Tensor, layer.weight) for layer in layers])
    bias = torch.cat([cast(Tensor, layer.bias) for layer in layers])
    if gain != 1:
        weight = weight * gain
    scale, shift = F.conv2d(hidden, weight, bias, padding=weight.shape[-1] // 2).chunk(2, 1)
    return torch.addcmul(shift, normed, 1 + scale)
