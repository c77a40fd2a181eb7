"""Gradients lie in memory as their maps do, and are the same numbers."""

import pytest
import torch
from torch import nn

from model.frame.layout import as_laid_out, lay_out, layout_of
from model.frame.warp import warp

LAYOUTS = [torch.contiguous_format, torch.channels_last]


def maps_of(placed, layout: torch.memory_format, channels: int = 4) -> torch.Tensor:
    torch.manual_seed(0)
    return placed(torch.randn(2, channels, 5, 7)).contiguous(memory_format=layout).requires_grad_()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_gradient_of_a_slice_is_dense(placed, layout):
    maps = maps_of(placed, layout)
    seen = []
    maps.register_hook(seen.append)
    other = maps_of(placed, layout, 3)
    weights = placed(torch.randn(2, 7, 5, 7)).contiguous(memory_format=layout)
    (torch.cat([as_laid_out(maps), other], 1) * weights).sum().backward()
    assert torch.equal(maps.grad, weights[:, :4])
    assert seen[0].is_contiguous(memory_format=layout)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_warp_keeps_the_layout_of_what_it_warps(placed, layout):
    maps, disp = maps_of(placed, layout), placed(0.2 * torch.randn(2, 2, 5, 7)).requires_grad_()
    seen = []
    maps.register_hook(seen.append)
    warped = warp(maps, disp)
    assert layout_of(warped) == layout
    weights = placed(torch.randn(2, 4, 5, 7))
    (warped * weights).sum().backward()
    plain, shift = maps.detach().contiguous().requires_grad_(), disp.detach().requires_grad_()
    (warp(plain, shift) * weights).sum().backward()
    placed.assert_close(maps.grad, plain.grad)
    placed.assert_close(disp.grad, shift.grad)
    assert seen[0].is_contiguous(memory_format=layout)


def test_maps_that_lie_both_ways_or_neither_way_count_as_contiguous(placed):
    both, neither = placed(torch.rand(2, 1, 5, 7)), placed(torch.rand(2, 8, 5, 7))[:, ::2]
    assert layout_of(both) == layout_of(neither) == torch.contiguous_format
    assert layout_of(placed(torch.rand(2, 3, 5, 7)).contiguous(memory_format=torch.channels_last)) == LAYOUTS[1]


def test_weights_of_images_and_of_volumes_are_laid_out():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv3d(3, 4, 3), nn.Linear(3, 4))
    values = [parameter.detach().clone() for parameter in network.parameters()]
    for channels_last in (True, False):
        lay_out(network, channels_last)
        formats = (LAYOUTS[1], torch.channels_last_3d) if channels_last else LAYOUTS[:1] * 2
        for layer, layout in zip(network, formats, strict=False):
            assert layer.weight.is_contiguous(memory_format=layout)
        assert all(torch.equal(a, b) for a, b in zip(values, network.parameters(), strict=True))
