"""Convolutions in one pass: what they give apart, values and gradients."""

import pytest
import torch
from torch import nn

from model.baselines.shared.one_pass import in_one_pass
from model.baselines.shared.spade import spade

HIDDEN, HEIGHT, WIDTH = 3, 6, 9


def layers_of(placed, widths: tuple[int, ...], kernel: int) -> list[nn.Module]:
    torch.manual_seed(0)
    return [placed(nn.Conv2d(HIDDEN, width, kernel)) for width in widths]


def apart(x: torch.Tensor, layers: list[nn.Module], padding: int, gain: float) -> list[torch.Tensor]:
    return [nn.functional.conv2d(x, gain * layer.weight, layer.bias, padding=padding) for layer in layers]


def check_equal(placed, found, expected, learns) -> None:
    """Values, and gradients of a weighted sum of them."""
    wanted = [placed(torch.randn(value.shape)) for value in expected]
    gradients = []
    for values in (found, expected):
        loss = sum((value * weight).sum() for value, weight in zip(values, wanted, strict=True))
        gradients.append(torch.autograd.grad(loss, learns))
    pairs = [*zip(found, expected, strict=True), *zip(*gradients, strict=True)]
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=50 * placed.atol)


@pytest.mark.parametrize(("kernel", "padding"), [(1, 0), (3, 1), (5, 0)])
@pytest.mark.parametrize("gain", [1.0, 0.25])
def test_it_is_each_convolution_by_itself(placed, kernel, padding, gain):
    layers = layers_of(placed, (5, 1, 4), kernel)
    x = placed(torch.randn(2, HIDDEN, HEIGHT, WIDTH).requires_grad_())
    found, expected = in_one_pass(x, layers, padding, gain), apart(x, layers, padding, gain)
    assert [value.shape for value in found] == [value.shape for value in expected]
    check_equal(placed, found, expected, [x, *(p for layer in layers for p in layer.parameters())])


@pytest.mark.parametrize("gain", [1.0, 0.25])
def test_spade_scales_by_one_and_shifts_by_the_other(placed, gain):
    layers = layers_of(placed, (5, 5), 3)
    x = placed(torch.randn(2, HIDDEN, HEIGHT, WIDTH).requires_grad_())
    normed = placed(torch.randn(2, 5, HEIGHT, WIDTH).requires_grad_())
    scale, shift = apart(x, layers, 1, gain)
    learns = [x, normed, *(p for layer in layers for p in layer.parameters())]
    check_equal(placed, [spade(normed, x, *layers, gain)], [normed * (1 + scale) + shift], learns)
