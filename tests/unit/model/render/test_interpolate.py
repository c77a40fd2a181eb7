"""Interpolation over visible triangles against plain indexing, finite differences and what is known by hand."""

import pytest
import torch
from torch import Tensor

import model.render.interpolate
from model.frame.coords import identity_grid
from model.render.interpolate import interpolate, interpolate_faces
from model.render.raster import Fragments, rasterize
from tests.meshes import SQUARE, soup, sphere, square


def plain(fragments: Fragments, table: Tensor, triangles: Tensor) -> Tensor:
    """The definition: gather three rows at every pixel, weigh, sum. (B, V, C) -> (B, C, H, W)."""
    items = []
    for item, own in enumerate(table):
        corners = (triangles if triangles.dim() == 2 else triangles[item])[fragments.triangle[item].clamp(min=0)]
        items.append((own[corners] * fragments.barycentric[item][..., None]).sum(-2).permute(2, 0, 1))
    return torch.stack(items)


def test_interpolated_positions_are_the_pixel_centres(on_device):
    verts, triangles = on_device(sphere())
    size_hw = (60, 84)
    found = rasterize(verts, triangles, size_hw)
    maps = interpolate(found, verts, triangles)
    assert maps.shape == (2, 3, 60, 84)
    error = (maps[:, :2] - identity_grid(size_hw, on_device.device, torch.float64)).abs().amax(1)
    assert error[found.covered].max() < 2 / 60 / 1024  # half a sub-pixel step each way
    assert not maps.permute(0, 2, 3, 1)[~found.covered].any()
    torch.testing.assert_close(maps[:, 2], found.depth)


@pytest.mark.parametrize("own_triangles", [False, True])
@pytest.mark.parametrize("channels", [0, 1, 3, 37])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_values_and_gradients_equal_plain_indexing(dtype, tolerance, channels, own_triangles, monkeypatch, on_device):
    monkeypatch.setattr(model.render.interpolate, "PIXELS_ON_CPU", 2 * 20 * 28)  # two pieces: of two frames, and of one
    verts, triangles = on_device(sphere(8, 10, batch=3))
    triangles = torch.stack([triangles, triangles.flip(0), triangles.roll(7, 0)]) if own_triangles else triangles
    found = rasterize(verts.to(dtype), triangles, (20, 28), perspective=True)
    weight = on_device(torch.randn(3, channels, 20, 28, dtype=dtype))
    own = on_device(torch.randn(3, verts.shape[1], channels, dtype=dtype))
    for table in (own, own[:1].expand(3, -1, -1)):
        expected_table = table.detach().clone().requires_grad_()
        expected = plain(found, expected_table, triangles)
        expected.backward(weight)
        given = table if table is own else own[0]
        given = given.detach().clone().requires_grad_()
        maps = interpolate(found, given, triangles)
        maps.backward(weight)
        torch.testing.assert_close(maps, expected, rtol=0, atol=tolerance)
        wanted = expected_table.grad if given.dim() == 3 else expected_table.grad.sum(0)
        torch.testing.assert_close(given.grad, wanted, rtol=0, atol=10 * tolerance)
        assert maps.dtype == given.grad.dtype == dtype


def test_how_a_gradient_lies_in_memory_does_not_matter(monkeypatch, on_device):
    monkeypatch.setattr(model.render.interpolate, "PIXELS_ON_CPU", 2 * 20 * 28)
    verts, triangles = on_device(sphere(8, 10, batch=3))
    found = rasterize(verts, triangles, (20, 28))
    table = on_device(torch.randn(verts.shape[1], 5, requires_grad=True))
    weight = on_device(torch.randn(3, 5, 1, 1)).expand(3, 5, 20, 28)
    laid = (
        weight,
        weight.contiguous(),
        weight.contiguous(memory_format=torch.channels_last),
        weight.mT.contiguous().mT,
    )
    grads = [torch.autograd.grad(interpolate(found, table, triangles), table, g)[0] for g in laid]
    assert grads[0].abs().max() > 0
    assert all(torch.equal(grads[0], other) for other in grads[1:])


def test_numbers_beyond_32_bits_give_the_same(monkeypatch, on_device):
    verts, triangles = on_device(sphere(8, 10, batch=2))
    found = rasterize(verts, triangles, (20, 28))
    table, weight = (
        on_device(torch.randn(2, verts.shape[1], 3, requires_grad=True)),
        on_device(torch.randn(2, 3, 20, 28)),
    )
    made = []
    for limit in (1 << 31, 1):
        monkeypatch.setattr(model.render.interpolate, "SHORT", limit)
        maps = interpolate(found, table, triangles)
        made.append((maps, torch.autograd.grad(maps, table, weight)[0]))
    assert made[0][0].abs().max() > 0
    assert all(torch.equal(a, b) for a, b in zip(*made, strict=True))


def test_background_is_zero_and_gives_no_gradient(on_device):
    verts, triangles = on_device(soup(3, batch=2, count=20))
    found = rasterize(verts, triangles, (18, 30))
    table = on_device(torch.rand(verts.shape[1], 2, dtype=torch.float64, requires_grad=True))
    maps = interpolate(found, table, triangles)
    assert 0 < found.covered.double().mean() < 0.5
    assert not maps.permute(0, 2, 3, 1)[~found.covered].any()
    (maps * ~found.covered[:, None]).sum().backward()
    assert not table.grad.any()


def test_nothing_seen_is_all_zero(on_device):
    verts = on_device(square(left=1.5, right=2.0))
    found = rasterize(verts, on_device(SQUARE), (4, 6))
    table = on_device(torch.ones(4, 2, requires_grad=True))
    maps = interpolate(found, table, on_device(SQUARE))
    maps.sum().backward()
    assert maps.shape == (1, 2, 4, 6)
    assert not maps.any()
    assert not table.grad.any()
    assert interpolate(rasterize(verts[:0], on_device(SQUARE), (4, 6)), table, on_device(SQUARE)).shape == (0, 2, 4, 6)


def test_wrong_shapes_are_refused():
    found = rasterize(square(), SQUARE, (4, 4))
    with pytest.raises(ValueError, match=r"attributes must be \(V, C\) or \(1, V, C\), got \(2, 4, 3\)"):
        interpolate(found, torch.zeros(2, 4, 3), SQUARE)
    with pytest.raises(ValueError, match=r"triangles must be \(F, 3\) or \(1, F, 3\)"):
        interpolate(found, torch.zeros(4, 3), SQUARE.expand(2, 2, 3))
    with pytest.raises(ValueError, match="per_triangle"):
        interpolate_faces(found, torch.zeros(2, 1))


def test_gradient_of_the_attributes(on_device):
    verts, triangles = on_device(sphere(5, 6))
    found = rasterize(verts, triangles, (7, 9))
    assert not found.barycentric.requires_grad
    for shape in ((verts.shape[1], 2), (2, verts.shape[1], 2)):
        table = on_device(torch.rand(shape, dtype=torch.float64, requires_grad=True))
        assert torch.autograd.gradcheck(lambda a: interpolate(found, a, triangles), table)
    interpolate(found, table, triangles).sum().backward()
    torch.testing.assert_close(table.grad.sum((1, 2)), 2.0 * found.covered.sum((1, 2)).double())


def test_value_of_the_triangle_that_is_seen(on_device):
    found = rasterize(on_device(square(right=0.0)), on_device(SQUARE), (4, 6))
    parts = interpolate_faces(found, on_device(torch.tensor([7, 0])))
    assert parts.dtype == torch.int64
    assert (parts[0, :, 3:] == -1).all()
    assert parts[0, 0, 0] == 0  # upper left triangle
    assert parts[0, 3, 2] == 7  # lower right triangle
    assert (interpolate_faces(found, on_device(torch.tensor([0.5, 2.5])), background=0)[0, :, 3:] == 0).all()
