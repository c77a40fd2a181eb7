"""PIRender: the published tensors by name, shape and type, and the same function of them."""

import torch

from model.baselines.pirender.network import PIRender
from tests.parity.compare import Output
from tests.parity.golden import Fixture
from tests.parity.networks import PRECISIONS, compared, compared_input, drawn
from tests.parity.regressors import load


@torch.no_grad()
def check(fixture: Fixture) -> list[Output]:
    """Every stored output, in float32 and in float64."""
    golden = fixture.arrays()
    network = PIRender()
    load(fixture, "pirender_net_G_ema", network.generator)
    seen = drawn(fixture, "source", network.native_px, low=-1)
    window = torch.from_numpy(golden["input_coeff"])
    outputs = [compared_input("input_source", seen, golden)]
    for dtype in PRECISIONS:
        source = ((seen.double() + 1) / 2).to(dtype)
        made = network.eval().to(dtype)(source, {"coefficients": window.to(dtype)})
        outputs += compared("descriptor", made.own.descriptor, golden)
        outputs += compared("flow_field", made.own.flow, golden)
        outputs += compared("warp_image", made.panels["warped source"] * 2 - 1, golden)
        outputs += compared("fake_image", made.image * 2 - 1, golden)
    return outputs
