"""The paper's instruments: FAN's heatmaps and how they are decoded, ArcFace's embedding through insightface's class."""

import tempfile
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.metrics.backends.arcface import ALIGNED_PX, ArcFace
from pipeline.trackers.fan import CROP_PX, STACKS, in_image, peaks
from tests.parity.compare import Output, compare
from tests.parity.golden import Fixture
from tests.parity.networks import PRECISIONS, compared, compared_input, drawn
from tests.parity.regressors import load


@torch.no_grad()
def check_fan(fixture: Fixture) -> list[Output]:
    """Heatmaps of all stacks in float32 and float64; points of the last stack, on the map and in whole px."""
    from face_alignment.models import FAN

    golden = fixture.arrays()
    network, img = load(fixture, "FAN4", FAN(STACKS)), drawn(fixture, "image", CROP_PX)
    outputs = [compared_input("input_image", img, golden)]
    for dtype in PRECISIONS:
        stacks = network.to(dtype)(img.to(dtype))
        for number, heatmaps in enumerate(stacks):
            outputs += compared(f"heatmaps_{number}", heatmaps, golden)
        last = stacks[-1].numpy()
        on_map, score = peaks(last), last.max((2, 3))[0]
        in_frame = in_image(on_map, golden["decoded_center"][None], golden["decoded_scale"][None])
        outputs += [
            compare(f"decoded_heatmap_xy in {dtype}", on_map[0], golden["decoded_heatmap_xy"]),
            compare(f"decoded_image_xy in {dtype}", in_frame[0], golden["decoded_image_xy"]),
            compare(f"decoded_score in {dtype}", score, golden["decoded_score"], golden["heatmaps_3_tolerance"]),
        ]
    return outputs


@torch.no_grad()
def check_arcface(fixture: Fixture) -> list[Output]:
    """The embedding in float64, and as our backend's class gives it for the same network as an ONNX file."""
    golden = fixture.arrays()
    network, img = load(fixture, "iresnet50", IResNet50()), drawn(fixture, "image", ALIGNED_PX, low=-1)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the exporter that needs no further package
        path = Path(folder) / "iresnet50.onnx"
        axes = {"face": {0: "count"}, "embedding": {0: "count"}}
        torch.onnx.export(
            network,
            (img,),
            str(path),
            input_names=["face"],
            output_names=["embedding"],
            dynamic_axes=axes,
            dynamo=False,
        )
        backend = ArcFace(path, SimpleNamespace(fingerprint=""))
    levels = (img * backend.net.input_std + backend.net.input_mean).numpy()
    two = backend.net.forward(np.concatenate([levels[:, :, ::-1], levels]))
    return [
        compared_input("input_image", img, golden),
        *compared("embedding", network.double()(img.double()), golden),
        compare("embedding by the backend", two[1:], golden["embedding"], golden["embedding_tolerance"]),
    ]


class Block(nn.Module):
    """iresnet's basic block: normalise, convolve, normalise, rectify, convolve, normalise, add."""

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
        y = self.bn3(self.conv2(self.prelu(self.bn2(self.conv1(self.bn1(x))))))
        return y + (x if self.downsample is None else self.downsample(x))


class IResNet50(nn.Module):
    """insightface's network, whose exported form users bring; the pipeline itself reads ONNX files only."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        self.bn1, self.prelu = nn.BatchNorm2d(64), nn.PReLU(64)
        inputs = 64
        for number, (outputs, blocks) in enumerate(((64, 3), (128, 4), (256, 14), (512, 3)), 1):
            layer = [Block(inputs, outputs, 2), *(Block(outputs, outputs, 1) for _ in range(blocks - 1))]
            setattr(self, f"layer{number}", nn.Sequential(*layer))
            inputs = outputs
        self.bn2 = nn.BatchNorm2d(512)
        self.fc = nn.Linear(512 * 7 * 7, 512)
        self.features = nn.BatchNorm1d(512)

    def forward(self, x: Tensor) -> Tensor:
        x = self.prelu(self.bn1(self.conv1(x)))
        for number in range(1, 5):
            x = getattr(self, f"layer{number}")(x)
        return self.features(self.fc(self.bn2(x).flatten(1)))
