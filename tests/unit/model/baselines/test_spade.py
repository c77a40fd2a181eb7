"""SPADE's scale and shift in one pass: what two convolutions give, values and gradients."""

import pytest
import torch
from torch import nn

from model.baselines.shared.spade import spade

CHANNELS, HIDDEN, HEIGHT, WIDTH = 5, 3, 6, 9


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("gain", [1.0, 0.25])
def test_it_is_two_convolutions(placed, kernel, gain):
    torch.manual_seed(0)
    layers = [placed(nn.Conv2d(HIDDEN, CHANNELS, kernel, padding=kernel // 2)) for _ in range(2)]
    normed = placed(torch.randn(2, CHANNELS, HEIGHT, WIDTH).requires_grad_())
    hidden = placed(torch.randn(2, HIDDEN, HEIGHT, WIDTH).requires_grad_())
    wanted = placed(torch.randn(2, CHANNELS, HEIGHT, WIDTH))
    scale, shift = (
        nn.functional.conv2d(hidden, gain * layer.weight, layer.bias, padding=kernel // 2) for layer in layers
    )
    apart, together = normed * (1 + scale) + shift, spade(normed, hidden, *layers, gain)
    learns = [normed, hidden, *(parameter for layer in layers for parameter in layer.parameters())]
    torch.testing.assert_close(together, apart, rtol=0, atol=4 * placed.atol)
    expected, found = (torch.autograd.grad((made * wanted).sum(), learns) for made in (apart, together))
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=50 * placed.atol)
