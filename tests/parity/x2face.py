"""X2Face: what both networks say, the embedded face, and the image."""

import torch

from model.baselines.x2face.network import X2Face
from tests.parity.compare import Output
from tests.parity.golden import Fixture
from tests.parity.networks import PRECISIONS, check_complete, compared_all, compared_input, drawn
from tests.parity.regressors import load

PARTS = {"unwrapped": "x2face_pix2pixUnwrapped", "sampler": "x2face_pix2pixSampler"}


@torch.no_grad()
def check(fixture: Fixture, precisions: tuple[torch.dtype, ...] = PRECISIONS) -> list[Output]:
    """Every stored output, by default in float32 and float64."""
    golden, network = fixture.arrays(), X2Face()
    for part, manifest in PARTS.items():
        load(fixture, manifest, getattr(network, part))
    source, driving = (drawn(fixture, name, network.native_px) for name in ("source", "driving"))
    outputs = [compared_input("input_source", source, golden), compared_input("input_driving", driving, golden)]
    for precision in precisions:
        made = network.eval().to(precision)(source.to(precision), {"driving": driving.to(precision)})
        inside = {name: getattr(made.own, name) for name in ("embed_raw", "drive_raw", "embedded")}
        found = {"output": made.image, **inside}
        check_complete(set(found), golden)
        outputs += compared_all(found, golden)
    return outputs
