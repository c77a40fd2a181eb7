"""Spectrally normalised weights are torch's, and so are their gradients and what they remember."""

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from model.frame.layout import lay_out
from model.method.spectral import conv


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_they_are_torchs_digit_for_digit(placed, training, channels_last):
    torch.manual_seed(3)
    ours = conv(5, 4, 3)
    theirs = spectral_norm(nn.Conv2d(5, 4, 3, padding=1), n_power_iterations=1)
    theirs.load_state_dict(ours.state_dict())
    layers = [placed(layer.train(training)) for layer in (ours, theirs)]
    images = placed(torch.rand(2, 5, 6, 7))
    for _ in range(3):
        for layer in layers:
            lay_out(layer, channels_last)
            layer.zero_grad()
            layer(images).square().sum().backward()
        assert torch.equal(ours.parametrizations.weight.original.grad, theirs.parametrizations.weight.original.grad)
        for mine, its in zip(ours.buffers(), theirs.buffers(), strict=True):
            assert torch.equal(mine, its)
