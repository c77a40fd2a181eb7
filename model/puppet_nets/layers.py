"""Building blocks shared by the networks that look at a puppet's face.

Legend: B batch, C channels, (H, W) image size, (h, w) size of a feature map.
"""

import hashlib
import json
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn import functional as F

from model.atomic import written_aside
from model.frame.images import check_images

Network = TypeVar("Network", bound=nn.Module)


def conv_norm_relu(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """3x3 convolution, batch normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Block(nn.Module):
    """One strided convolution and, if `residual`, one pair of 3x3 convolutions around an identity."""

    def __init__(self, inputs: int, outputs: int, stride: int, residual: bool) -> None:
        super().__init__()
        self.enter = conv_norm_relu(inputs, outputs, stride)
        self.pair = (
            nn.Sequential(
                conv_norm_relu(outputs, outputs, 1),
                nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
                nn.BatchNorm2d(outputs),
            )
            if residual
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, outputs, h / stride, w / stride), non-negative."""
        x = self.enter(x)
        return x if self.pair is None else F.relu(x + self.pair(x), inplace=True)


class Trunk(nn.Module):
    """A stack of blocks on images in [0, 1]; the feature map of every block can be read.

    Args:
        widths: output channels of each block.
        strides: stride of each block's first convolution.
        residual: whether each block has a residual pair.
    """

    def __init__(self, widths: tuple[int, ...], strides: tuple[int, ...], residual: tuple[bool, ...]) -> None:
        super().__init__()
        inputs = (3, *widths[:-1])
        blocks = [Block(*spec) for spec in zip(inputs, widths, strides, residual, strict=True)]
        self.blocks = nn.ModuleList(blocks)

    def forward(self, img: Tensor) -> list[Tensor]:
        """(B, 3, H, W) in [0, 1] -> one feature map (B, C, h, w) a block, finest first."""
        check_images(img)
        x = (img - 0.5) / 0.25
        maps = []
        for block in self.blocks:
            x = block(x)
            maps.append(x)
        return maps


def resize_images(img: Tensor, size: int) -> Tensor:
    """Resample (B, 3, H, W) to (B, 3, size, size); the area filter is used when both sides shrink.

    Ndc coordinates do not change, so points found in the result hold in the original frame.
    """
    check_images(img)
    height, width = img.shape[-2:]
    if (height, width) == (size, size):
        return img
    if height >= size and width >= size:
        return F.interpolate(img, size=(size, size), mode="area")
    return F.interpolate(img, size=(size, size), mode="bilinear", align_corners=False)


def file_sha256(path: Path | str) -> str:
    """SHA-256 of a file in hexadecimal."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def save_network(path: Path | str, network: nn.Module, config: dict) -> None:
    """Write weights as float16 safetensors, with `config` as JSON in the file's metadata."""
    state = {
        name: (value.half() if value.is_floating_point() else value).contiguous().cpu()
        for name, value in network.state_dict().items()
    }
    metadata = {"config": json.dumps(config, sort_keys=True)}
    with written_aside(Path(path)) as partial:
        partial.write_bytes(save(state, metadata=metadata))


def read_network(path: Path | str) -> tuple[dict, dict[str, Tensor]]:
    """Read the config and the float32 state written by `save_network`.

    Raises:
        FileNotFoundError: the weights are not there.
        ValueError: the file does not carry a config.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no weights at {path}")
    with safe_open(str(path), framework="pt") as handle:
        metadata = handle.metadata() or {}
    if "config" not in metadata:
        raise ValueError(f"{path} is not a network of this project: its metadata has no config")
    state = load_file(str(path))
    return json.loads(metadata["config"]), {
        name: value.float() if value.is_floating_point() else value for name, value in state.items()
    }


def freeze(network: Network) -> Network:
    """Put a network into inference mode and stop gradients to its weights (not to its input)."""
    return network.eval().requires_grad_(False)


def rotation_from_6d(six: Tensor) -> Tensor:
    """Gram-Schmidt of two 3-vectors, (..., 6) -> rotations (..., 3, 3) whose columns start with them.

    Source: Zhou et al., On the Continuity of Rotation Representations in Neural Networks, section 4.
    """
    first = F.normalize(six[..., :3], dim=-1)
    second = six[..., 3:] - (first * six[..., 3:]).sum(-1, keepdim=True) * first
    second = F.normalize(second, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], -1)
