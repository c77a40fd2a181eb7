"""The paper's instruments: FAN's heatmaps and how they are decoded, ArcFace's embedding through insightface's class."""

import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from benchmarks.iresnet import IResNet50, write_onnx
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
    with tempfile.TemporaryDirectory() as folder:
        path = write_onnx(network, Path(folder) / "iresnet50.onnx")
        backend = ArcFace(path, SimpleNamespace(fingerprint=""))
    levels = (img * backend.net.input_std + backend.net.input_mean).numpy()
    two = backend.net.forward(np.concatenate([levels[:, :, ::-1], levels]))
    return [
        compared_input("input_image", img, golden),
        *compared("embedding", network.double()(img.double()), golden),
        compare("embedding by the backend", two[1:], golden["embedding"], golden["embedding_tolerance"]),
    ]
