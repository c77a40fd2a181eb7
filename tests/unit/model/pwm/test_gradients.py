"""What the PWM is made of has the derivatives that differences say, in float64. Images are never square here.

The warp's and the interpolation's stand with them (tests/unit/model/frame, tests/unit/model/render).
"""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from model.pwm.blocks import Spade
from model.pwm.generator import FirstLevel, WarpModule
from model.pwm.output import OUTPUTS
from tests.devices import Place
from tests.toy_networks import generator_config

WIDTHS = (4, 3, 2)


def drawn(place: Place, *shapes: tuple[int, ...]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(2)
    return [place(torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()) for shape in shapes]


def still(module: nn.Module, place: Place) -> nn.Module:
    """Spectral norms that stand still beside BatchNorm of this very batch: a function of the inputs alone."""
    torch.manual_seed(0)
    for part in place(module.double().eval()).modules():
        if isinstance(part, nn.BatchNorm2d):
            part.train()
    return module


def agree(module: nn.Module, inputs: list[Tensor]) -> bool:
    """Inputs and weights alike, so that no path through the module has a gradient of its own making."""
    weights = dict(module.named_parameters())

    def run(*values: Tensor) -> tuple[Tensor, ...]:
        given = dict(zip(weights, values[len(inputs) :], strict=True))
        made = torch.func.functional_call(module, given, values[: len(inputs)])
        return made if isinstance(made, tuple) else (made,)

    return torch.autograd.gradcheck(run, (*inputs, *weights.values()), fast_mode=True)


def test_spade(on_device):
    spade = still(Spade(3, 2, 4), on_device)
    assert agree(spade, drawn(on_device, (2, 3, 4, 6), (2, 2, 4, 6)))


@pytest.mark.parametrize("warps", [True, False])
def test_the_first_level(warps, on_device):
    level = still(FirstLevel(3, warps), on_device)
    feat, guide = drawn(on_device, (2, 3, 4, 6), (2, 3, 4, 6))
    assert agree(level, [feat, 0.2 * guide])


@pytest.mark.parametrize("refines", [True, False])
def test_a_level(refines, on_device):
    level = still(
        WarpModule(replace(generator_config(gain=0.3), channels=WIDTHS, disp_refines=refines), 1, 2), on_device
    )
    feat, guide, skip, coarser = drawn(on_device, (2, 4, 4, 6), (2, 2, 4, 6), (2, 3, 8, 12), (2, 2, 2, 3))
    assert agree(level, [feat, guide, skip, 0.2 * coarser])


@pytest.mark.parametrize(("output", "last_disp"), [
    ("warped_source", "own"), ("warped_source", "upsampled"), ("paper", "upsampled"),
])  # fmt: skip
def test_the_last_level(output, last_disp, on_device):
    config = replace(generator_config(), channels=WIDTHS, output=output, last_disp=last_disp, image_gain=1.0)
    last = still(OUTPUTS[output](config, 2), on_device)
    feat, guide, source, disp = drawn(on_device, (2, 2, 8, 12), (2, 2, 8, 12), (2, 3, 8, 12), (2, 2, 4, 6))
    assert agree(last, [feat, guide, source.sigmoid(), 0.2 * disp])


def test_a_derivative_that_is_wrong_is_seen(on_device):
    class Detached(Spade):
        def forward(self, features: Tensor, guide: Tensor) -> Tensor:
            return super().forward(features, guide) + 0.1 * (features.detach() - features)

    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        agree(still(Detached(3, 2, 4), on_device), drawn(on_device, (2, 3, 4, 6), (2, 2, 4, 6)))
