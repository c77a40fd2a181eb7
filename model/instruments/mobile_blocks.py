"""Building blocks of MediaPipe's small face networks, and how their weights lie in a .tflite file.

Convention: padding is TensorFlow's "same": what a stride leaves over is added below and to the right, so with stride 2
a 3x3 kernel looks one pixel beyond the lower and right edge and none beyond the upper and left one.

Legend: B batch, C channels, (H, W) size of a map.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.releases.tflite import read_tflite

Place = tuple[str, str]  # name of a tensor here, name of it in the file


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's "same" padding; a depthwise one where `groups` is the number of channels."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, outputs, ceil(H / stride), ceil(W / stride))."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        over = [max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in x.shape[-2:]]
        if any(total % 2 for total in over):
            height, width = over
            x = F.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
            over = [0, 0]
        return F.conv2d(x, self.weight, self.bias, self.stride, [total // 2 for total in over], groups=self.groups)


class DepthwiseBlock(nn.Module):
    """A depthwise 3x3 and a pointwise convolution around an identity.

    The identity is pooled where the block has a stride, and padded with zero channels where the block widens.

    Args:
        inputs, outputs: channels.
        stride: 1 or 2.
        act: what follows the sum.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, act: nn.Module) -> None:
        super().__init__()
        self.depthwise = SameConv(inputs, inputs, 3, stride, groups=inputs)
        self.pointwise = SameConv(inputs, outputs, 1)
        self.act = act
        self.stride, self.more = stride, outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        skip = F.max_pool2d(x, self.stride) if self.stride > 1 else x
        if self.more:
            skip = F.pad(skip, (0, 0, 0, 0, 0, self.more))
        return self.act(self.pointwise(self.depthwise(x)) + skip)


def conv_places(ours: str, theirs: str) -> list[Place]:
    """Weight and bias of a convolution."""
    return [(f"{ours}.weight", f"{theirs}/Kernel"), (f"{ours}.bias", f"{theirs}/Bias")]


def converted(path: Path, what: str, network: nn.Module, places: list[Place]) -> dict[str, Tensor]:
    """Read a network's weights from a .tflite file.

    Args:
        path: the file.
        what: the network, for messages.
        network: any one of its kind, for the shapes.
        places: where each of its tensors lies in the file.

    Returns:
        The state of the network, float32.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds another network, or is damaged; the message names it and what differs.
    """
    graph, ours = read_tflite(path), network.state_dict()
    depthwise = {name for name, part in network.named_modules() if isinstance(part, nn.Conv2d) and part.groups > 1}
    order = {name: _order(theirs, name.removesuffix(".weight") in depthwise) for name, theirs in places}
    stored = {}
    for name, theirs in places:
        shape = ours[name].shape if len(ours[name].shape) == len(order[name]) else (1, 1, *ours[name].shape)
        stored[theirs] = tuple(shape[order[name].index(side)] for side in range(len(shape)))
    graph.hold_to(what, stored)
    return {
        name: torch.from_numpy(graph.constants[theirs].transpose(order[name]).copy()).reshape(ours[name].shape)
        for name, theirs in places
    }


def _order(theirs: str, depthwise: bool) -> tuple[int, ...]:
    """Which side in the file each side here is: kernels lie there as (out, H, W, in) or, depthwise, (1, H, W, out)."""
    if theirs.endswith("/Kernel"):
        return (3, 0, 1, 2) if depthwise else (0, 3, 1, 2)
    return (0, 1, 2) if theirs.endswith("/Alpha") else (0,)
