"""Spectrally normalised weights are torch's, and so are their gradients and what they remember."""

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from model.frame.layout import lay_out
from model.method.spectral import conv


def twins(placed, channels_last: bool) -> tuple[nn.Conv2d, nn.Conv2d]:
    torch.manual_seed(3)
    ours = conv(5, 4, 3)
    theirs = spectral_norm(nn.Conv2d(5, 4, 3, padding=1), n_power_iterations=1)
    theirs.load_state_dict(ours.state_dict())
    lay_out(ours, channels_last)
    return placed(ours), placed(theirs)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_a_weight_and_its_gradient_are_those_of_torch(placed, training, channels_last):
    ours, theirs = (layer.train(training) for layer in twins(placed, channels_last))
    images = placed(torch.rand(2, 5, 6, 7))
    for _ in range(3):
        for layer in (ours, theirs):
            layer.zero_grad()
            layer(images).square().sum().backward()
        placed.assert_close(ours.weight, theirs.weight)
        originals = [layer.parametrizations.weight.original.grad for layer in (ours, theirs)]
        placed.assert_close(*originals, times=100)
        for mine, its in zip(ours.buffers(), theirs.buffers(), strict=True):
            placed.assert_close(mine, its)


def test_a_later_pass_leaves_the_gradient_of_an_earlier_one_alone(placed):
    """Its vectors are the ones that it divided by, however often others have been estimated since."""
    images = placed(torch.rand(2, 5, 6, 7))
    found = []
    for later in (0, 3):
        layer, _ = twins(placed, False)
        loss = layer.train()(images).square().sum()
        for _ in range(later):
            layer(images)
        loss.backward()
        found.append(layer.parametrizations.weight.original.grad)
    assert torch.equal(*found)


def test_the_gradient_is_that_of_differences():
    layer, _ = twins(lambda made: made.double(), False)
    layer.eval()
    normalise = layer.parametrizations.weight[0]
    weight = torch.randn(4, 5, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(normalise, (weight,))
