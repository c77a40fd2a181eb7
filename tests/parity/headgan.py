"""HeadGAN without audio: the published tensors by name, shape and type, and the same function of them."""

import torch

from model.baselines.headgan.network import HeadGan
from tests.parity.compare import Output
from tests.parity.golden import Fixture
from tests.parity.networks import PRECISIONS, compared, compared_input, drawn
from tests.parity.regressors import load


@torch.no_grad()
def check(fixture: Fixture) -> list[Output]:
    """Every stored output, in float32 and in float64."""
    golden = fixture.arrays()
    network = HeadGan()
    load(fixture, "headgan_net_G_noaudio", network.generator)
    px = network.native_px
    driving = torch.cat([drawn(fixture, f"nmfc_{frame}", px) for frame in ("t-2", "t-1", "t0")], 1)
    source_nmfc, seen = drawn(fixture, "source_nmfc", px), drawn(fixture, "source", px, low=-1)
    outputs = [
        compared_input("input_nmfc", driving, golden),
        compared_input("input_src_nmfc", source_nmfc, golden),
        compared_input("input_src", seen, golden),
    ]
    for dtype in PRECISIONS:
        source = ((seen.double() + 1) / 2).to(dtype)
        signals = {"driving_nmfc": driving.to(dtype), "source_nmfc": source_nmfc.to(dtype)}
        made = network.eval().to(dtype)(source, signals)
        outputs += compared("flow", made.own.flow, golden)
        outputs += compared("warped", made.panels["warped source"] * 2 - 1, golden)
        outputs += compared("fake_image", made.image * 2 - 1, golden)
    return outputs
