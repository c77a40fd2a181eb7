"""The norm of SPADE (Park et al., CVPR 2019), where a checkpoint keeps its scale and its shift as two convolutions."""

import torch
from torch import Tensor, nn

from model.baselines.shared.one_pass import in_one_pass

PADDING = 1  # of their kernels of 3


def spade(normed: Tensor, hidden: Tensor, gamma: nn.Module, beta: nn.Module, gain: float = 1.0) -> Tensor:
    """Scale and shift normalised features by what two convolutions make of others: normed * (1 + gamma) + beta.

    Args:
        normed: (B, C, h, w), normalised.
        hidden: (B, K, h, w).
        gamma: what has the weight (C, K, 3, 3) and the bias (C,) of the scale's convolution.
        beta: the same of the shift's.
        gain: factor on both weights.

    Returns:
        (B, C, h, w).
    """
    scale, shift = in_one_pass(hidden, (gamma, beta), PADDING, gain)
    return torch.addcmul(shift, normed, 1 + scale)
