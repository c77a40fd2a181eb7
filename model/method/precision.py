"""What stays float32 under autocast."""

import torch
from torch import Tensor


def wide(tensor: Tensor) -> Tensor:
    """The tensor itself, or in float32 what autocast made narrower: bfloat16 sums lose what losses differ by."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
