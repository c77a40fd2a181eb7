"""insightface's iresnet50, whose ONNX form users bring for CSIM; the pipeline itself reads ONNX files only."""

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

FACE_PX = 112
LAYERS = ((64, 3), (128, 4), (256, 14), (512, 3))  # channels and blocks


class Block(nn.Module):
    """A basic block: normalise, convolve, normalise, rectify, convolve, normalise, add."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.prelu = nn.PReLU(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride > 1:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        y = self.bn3(self.conv2(self.prelu(self.bn2(self.conv1(self.bn1(x))))))
        return y + (x if self.downsample is None else self.downsample(x))


class IResNet50(nn.Module):
    """Faces (B, 3, 112, 112) in [-1, 1], RGB, to embeddings (B, 512), not normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        self.bn1, self.prelu = nn.BatchNorm2d(64), nn.PReLU(64)
        inputs = 64
        for number, (outputs, blocks) in enumerate(LAYERS, 1):
            layer = [Block(inputs, outputs, 2), *(Block(outputs, outputs, 1) for _ in range(blocks - 1))]
            setattr(self, f"layer{number}", nn.Sequential(*layer))
            inputs = outputs
        self.bn2 = nn.BatchNorm2d(512)
        self.fc = nn.Linear(512 * 7 * 7, 512)
        self.features = nn.BatchNorm1d(512)

    def forward(self, x: Tensor) -> Tensor:
        """Embed faces."""
        x = self.prelu(self.bn1(self.conv1(x)))
        for number in range(1, len(LAYERS) + 1):
            x = getattr(self, f"layer{number}")(x)
        embedding: Tensor = self.features(self.fc(self.bn2(x).flatten(1)))
        return embedding


def write_onnx(network: nn.Module, path: Path) -> Path:
    """Write a network of faces as an ONNX file that takes any number of them."""
    axes = {"face": {0: "count"}, "embedding": {0: "count"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the exporter that needs no further package
        torch.onnx.export(
            network.eval(),
            (torch.zeros(1, 3, FACE_PX, FACE_PX),),
            str(path),
            input_names=["face"],
            output_names=["embedding"],
            dynamic_axes=axes,
            dynamo=False,
        )
    return path
