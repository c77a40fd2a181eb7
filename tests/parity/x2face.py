"""X2Face: what both networks say, the embedded face, and the image."""

import torch

from model.baselines.x2face import X2Face
from tests.parity.compare import Output
from tests.parity.golden import Fixture
from tests.parity.published import compare_all, images, load

PARTS = {"unwrapped": "x2face_pix2pixUnwrapped", "sampler": "x2face_pix2pixSampler"}


@torch.no_grad()
def check(fixture: Fixture, precisions: tuple[torch.dtype, ...] = (torch.float32, torch.float64)) -> list[Output]:
    """Every stored output, by default in float32 and float64."""
    golden, network = fixture.arrays(), X2Face()
    load(fixture, network, PARTS)
    (source, driving), outputs = images(fixture, ["source", "driving"], network.native_px)
    for precision in precisions:
        made = network.to(precision)(source.to(precision), {"driving": driving.to(precision)})
        inside = {name: getattr(made.own, name) for name in ("embed_raw", "drive_raw", "embedded")}
        outputs += compare_all(golden, {"output": made.image, **inside})
    return outputs
