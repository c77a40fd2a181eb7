"""Memory layout of weights, of feature maps, and of their gradients.

A convolution whose weights have channels last makes maps that have them last. Operations on maps of two layouts take
several times as long on a CPU, and the gradients of a slice, of `cat` and of `grid_sample` come in whichever they
please.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def lay_out(networks: nn.Module, channels_last: bool) -> None:
    """Store the weights of convolutions, of images and of volumes, with channels last, or contiguous; in place."""
    images, volumes = (torch.channels_last, torch.channels_last_3d) if channels_last else (torch.contiguous_format,) * 2
    formats = {4: images, 5: volumes}
    for tensor in (*networks.parameters(), *networks.buffers()):
        if tensor.dim() in formats:
            tensor.data = tensor.data.contiguous(memory_format=formats[tensor.dim()])


def layout_of(maps: Tensor) -> torch.memory_format:
    """The layout that maps (B, C, H, W) or (B, C, D, H, W) have: channels last, or contiguous where both or neither."""
    last = torch.channels_last if maps.dim() == 4 else torch.channels_last_3d
    return torch.contiguous_format if maps.is_contiguous() or not maps.is_contiguous(memory_format=last) else last


def laid_out_like(maps: Tensor, others: Tensor) -> Tensor:
    """Return maps in the layout of others, where what made them has left it; so comes their gradient."""
    return as_laid_out(maps.contiguous(memory_format=layout_of(others)))


def as_laid_out(maps: Tensor) -> Tensor:
    """Return maps as they are; their gradient is brought into their own layout where it has another."""
    if torch.compiler.is_compiling() or not maps.requires_grad:
        return maps  # the compiler decides on layouts itself
    return _AsLaidOut.apply(maps)


class _AsLaidOut(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor) -> Tensor:
        ctx.layout = layout_of(maps)
        return maps.view_as(maps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad.contiguous(memory_format=ctx.layout)
