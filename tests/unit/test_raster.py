"""The rasteriser against a brute-force oracle and against what can be worked out by hand."""

import numpy as np
import pytest
import torch

from model import raster
from model.coords import identity_grid
from model.raster import interpolate, interpolate_faces, rasterize
from tests.oracles import raster as oracle

SQUARE = torch.tensor([[0, 1, 2], [0, 2, 3]])  # counter-clockwise for a viewer whose y points up


def square(left=-1.0, right=1.0, top=-1.0, bottom=1.0, depth=1.0):
    """One (1, 4, 3) rectangle, from its lower left corner counter-clockwise as seen."""
    x, y = [left, right, right, left], [bottom, bottom, top, top]
    return torch.tensor([[*zip(x, y, [depth] * 4, strict=True)]], dtype=torch.float64)


def soup(seed, batch=2, count=400, spread=0.3, low=1.0, high=3.0):
    """Random triangles of many sizes and both orientations, partly outside the frame."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(-1.2, 1.2, (batch, count, 1, 2))
    size = spread * rng.uniform(0.02, 1, (1, count, 1, 1))
    xy = centres + size * rng.normal(size=(batch, count, 3, 2))
    verts = np.concatenate([xy, rng.uniform(low, high, (batch, count, 3, 1))], -1).reshape(batch, -1, 3)
    return torch.from_numpy(verts), torch.arange(3 * count).view(-1, 3)


def sphere(rows=24, columns=40, batch=2):
    """A closed mesh turned differently in every item: shared edges, depth order, a silhouette."""
    theta = torch.linspace(0, torch.pi, rows + 1, dtype=torch.float64)
    phi = torch.arange(columns, dtype=torch.float64) * (2 * torch.pi / columns)
    turn = torch.arange(batch, dtype=torch.float64)[:, None, None] * 0.37
    theta, phi = theta[:, None] + 0 * turn, phi + turn
    xyz = [0.8 * theta.sin() * phi.sin(), -0.6 * theta.cos() + 0 * phi, 2 - theta.sin() * phi.cos()]
    corner = torch.arange(rows)[:, None] * columns + torch.arange(columns)
    right = torch.arange(rows)[:, None] * columns + (torch.arange(columns) + 1) % columns
    quads = [
        torch.stack(t, -1) for t in ((corner, corner + columns, right), (right, corner + columns, right + columns))
    ]
    return torch.stack(xyz, -1).flatten(1, 2), torch.stack(quads, 2).view(-1, 3)


def assert_equals_oracle(verts, triangles, size_hw, **options):
    found = rasterize(verts, triangles, size_hw, **options)
    for item, mesh in enumerate(verts):
        ids, weights, depth = oracle.rasterize(mesh.numpy(), triangles.numpy(), size_hw, **options)
        np.testing.assert_array_equal(found.triangle[item].numpy(), ids)
        tolerance = 1e-12 if verts.dtype == torch.float64 else 1e-6
        np.testing.assert_allclose(found.barycentric[item].numpy(), weights, atol=tolerance)
        np.testing.assert_allclose(found.depth[item].numpy(), depth, rtol=tolerance, atol=tolerance)
    return found


@pytest.mark.parametrize("perspective", [False, True])
@pytest.mark.parametrize("cull_back", [False, True])
@pytest.mark.parametrize(("size_hw", "spread"), [((37, 61), 0.3), ((64, 23), 0.05), ((1, 9), 1.0), ((48, 80), 2.0)])
def test_ids_equal_the_oracle(size_hw, spread, cull_back, perspective):
    verts, triangles = soup(size_hw[0], spread=spread)
    found = assert_equals_oracle(verts, triangles, size_hw, perspective=perspective, cull_back=cull_back)
    assert len(found.triangle.unique()) > 5


@pytest.mark.parametrize("perspective", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_closed_mesh_equals_the_oracle(dtype, perspective):
    verts, triangles = sphere()
    found = assert_equals_oracle(verts.to(dtype), triangles, (72, 96), perspective=perspective)
    assert found.depth.dtype == found.barycentric.dtype == dtype
    assert not torch.equal(found.triangle[0], found.triangle[1])
    assert found.depth[found.covered].max() < 2.01  # only the near half of the ball is seen


def test_vertices_on_pixel_centres_tie_as_in_the_oracle():
    rng = np.random.default_rng(3)
    corners = rng.integers(0, 12, (300, 3, 2)) + 0.5
    verts = np.concatenate([corners / [6.0, 8.0] - 1, rng.integers(0, 3, (300, 3, 1))], -1).reshape(1, -1, 3)
    assert_equals_oracle(torch.from_numpy(verts), torch.arange(900).view(-1, 3), (16, 12), cull_back=False)


def test_far_vertices_equal_the_oracle():
    verts, triangles = soup(5, batch=1, count=60, spread=60.0)
    verts[0, ::50, 0] = 1e9  # outside the guard band: dropped
    verts[0, 30::50, 1] = -1e9
    found = assert_equals_oracle(verts, triangles, (24, 40), cull_back=False)
    assert found.covered.any()
    assert not torch.isin(found.triangle, torch.tensor([0, 10])).any()


def test_rectangle_covers_the_pixels_worked_out_by_hand():
    verts = square(left=-0.5, right=1.0, top=-1.0, bottom=0.0)  # columns 2..7 of 8, rows 0..1 of 4
    expected = torch.zeros(1, 4, 8, dtype=torch.bool)
    expected[:, :2, 2:] = True
    assert torch.equal(rasterize(verts, SQUARE, (4, 8)).covered, expected)


def test_only_front_faces_are_seen():
    verts = square()
    assert rasterize(verts, SQUARE, (5, 7)).covered.all()
    assert not rasterize(verts, SQUARE.flip(1), (5, 7)).covered.any()
    assert rasterize(verts, SQUARE.flip(1), (5, 7), cull_back=False).covered.all()


def test_smaller_depth_is_nearer_and_ties_go_to_the_lowest_index():
    verts = torch.cat([square(depth=2.0), square(right=0.0, depth=1.0)], 1)
    both = torch.cat([SQUARE, SQUARE + 4])
    ids = rasterize(verts, both, (6, 10)).triangle[0]
    assert (ids[:, :5] >= 2).all()
    assert (ids[:, 5:] < 2).all()
    verts[..., 2] = 1.0
    assert (rasterize(verts, both, (6, 10)).triangle < 2).all()
    for triangles in (SQUARE, SQUARE.flip(0)):  # their shared edge runs through the centres of the anti-diagonal
        ids = rasterize(square(), triangles, (4, 4)).triangle[0]
        assert ids.flip(1).diagonal().tolist() == [0, 0, 0, 0]
        assert ids.float().mean() == 6 / 16


def test_order_of_depth_does_not_depend_on_units_or_offset():
    verts, triangles = soup(11)
    moved = verts.clone()
    moved[..., 2] = verts[..., 2] * 4096 + 2.0**22
    found = rasterize(verts, triangles, (40, 56), cull_back=False)
    shifted = rasterize(moved, triangles, (40, 56), cull_back=False)
    assert torch.equal(found.triangle, shifted.triangle)
    expected = found.depth * 4096 + 2.0**22 * found.covered
    torch.testing.assert_close(shifted.depth, expected, rtol=1e-12, atol=0)


def test_perspective_interpolates_the_point_that_projects_to_the_pixel():
    corners = torch.tensor([[[-3.0, -1.0, 2.0], [1.0, -1.2, 1.5], [4.0, 5.0, 9.0]]], dtype=torch.float64)
    verts = torch.stack([corners[..., 0] / corners[..., 2], -corners[..., 1] / corners[..., 2], corners[..., 2]], -1)
    triangles = torch.tensor([[0, 1, 2]])
    size_hw = (96, 64)
    found = rasterize(verts, triangles, size_hw, perspective=True)
    x, y, z = interpolate(found, corners[0], triangles)[0]
    inside = found.covered[0]
    grid = identity_grid(size_hw, dtype=torch.float64)[0]
    assert inside.sum() > 500
    torch.testing.assert_close((x / z)[inside], grid[0][inside], atol=1e-3, rtol=0)
    torch.testing.assert_close((-y / z)[inside], grid[1][inside], atol=1e-3, rtol=0)
    torch.testing.assert_close(found.depth[0], z)
    flat = interpolate(rasterize(verts, triangles, size_hw), corners[0], triangles)[0]
    assert ((flat[0] / flat[2])[inside] - grid[0][inside]).abs().max() > 0.1


def test_behind_the_camera_is_dropped_safely():
    verts = torch.cat([square(depth=3.0), square(right=0.0, depth=1.0)], 1)
    verts[0, 4] = torch.tensor([torch.nan, -torch.inf, 0.0])  # what projecting depth 0 gives
    verts[0, 5, 2] = -1.0
    found = rasterize(verts, torch.cat([SQUARE, SQUARE + 4]), (8, 12), perspective=True)
    assert found.covered.all()
    assert (found.triangle < 2).all()
    torch.testing.assert_close(found.depth, torch.full_like(found.depth, 3))
    behind = verts.clone()
    behind[..., 2] = -2.0
    assert not rasterize(behind, SQUARE, (8, 12), perspective=True).covered.any()


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_vertices_that_are_not_finite_are_refused(value):
    verts = torch.cat([square(), square()])
    verts[1, 2, 0] = value
    with pytest.raises(ValueError, match=r"1 vertices are not finite, in meshes \[1\]"):
        rasterize(verts, SQUARE, (8, 8))
    with pytest.raises(ValueError, match="not finite"):
        rasterize(verts, SQUARE, (8, 8), perspective=True)


def test_nothing_to_see():
    outside = square(left=1.5, right=2.0)
    flat = square(left=0.25, right=0.25)
    tiny = square(left=0.01, right=0.02, top=0.01, bottom=0.02)  # between pixel centres of a coarse frame
    for verts in (outside, flat, tiny):
        found = rasterize(verts, SQUARE, (4, 6))
        assert (found.triangle == -1).all()
        assert not found.barycentric.any()
        assert not found.depth.any()
        assert not interpolate(found, torch.ones(4, 2), SQUARE).any()
    assert rasterize(square(), SQUARE[:0], (4, 6)).triangle.shape == (1, 4, 6)
    assert rasterize(square()[:0], SQUARE, (4, 6)).barycentric.shape == (0, 4, 6, 3)


def test_answer_does_not_depend_on_batch_or_chunks(monkeypatch):
    verts, triangles = soup(7, batch=11, count=120)
    verts[2, :, 2] *= 1e12  # its depth range must not coarsen that of the others
    size_hw = (31, 45)
    whole = rasterize(verts, triangles, size_hw)
    monkeypatch.setattr(raster, "MAX_FRAGMENTS", 97)
    monkeypatch.setattr(raster, "MESHES_ON_CPU", 3)
    chunked = rasterize(verts, triangles, size_hw)
    alone = rasterize(verts[4:5], triangles, size_hw)
    for name in ("triangle", "barycentric", "depth"):
        assert torch.equal(getattr(whole, name), getattr(chunked, name))
        assert torch.equal(getattr(whole[4:5], name), getattr(alone, name))


def test_wrong_input_is_refused():
    verts = square()
    for bad_verts, bad_triangles, size_hw, message in [
        (verts[0], SQUARE, (4, 4), r"verts must be \(B, V, 3\)"),
        (verts.half(), SQUARE, (4, 4), "float16"),
        (verts, SQUARE[:, :2], (4, 4), r"triangles must be \(F, 3\)"),
        (verts, SQUARE.float(), (4, 4), "integers"),
        (verts, SQUARE + 1, (4, 4), "name vertices 1 to 4, but there are 4"),
        (verts, SQUARE - 1, (4, 4), "name vertices -1 to 2"),
        (verts, SQUARE, (0, 4), "1 to 4096 px"),
        (verts, SQUARE, (4, 4097), "1 to 4096 px"),
    ]:
        with pytest.raises(ValueError, match=message):
            rasterize(bad_verts, bad_triangles, size_hw)
    found = rasterize(verts, SQUARE, (4, 4))
    with pytest.raises(ValueError, match=r"attributes must be \(V, C\) or \(1, V, C\)"):
        interpolate(found, torch.zeros(2, 4, 3), SQUARE)
    with pytest.raises(ValueError, match="per_triangle"):
        interpolate_faces(found, torch.zeros(2, 1))


def test_interpolated_positions_are_the_pixel_centres():
    verts, triangles = sphere()
    size_hw = (60, 84)
    found = rasterize(verts, triangles, size_hw)
    maps = interpolate(found, verts, triangles)
    assert maps.shape == (2, 3, 60, 84)
    error = (maps[:, :2] - identity_grid(size_hw, dtype=torch.float64)).abs().amax(1)
    assert error[found.covered].max() < 2 / 60 / 1024  # half a sub-pixel step each way
    assert not maps.permute(0, 2, 3, 1)[~found.covered].any()
    torch.testing.assert_close(maps[:, 2], found.depth)


@pytest.mark.parametrize("channels", [1, 16])
def test_shared_attributes_equal_repeated_ones(channels):
    verts, triangles = sphere(8, 10)
    found = rasterize(verts, triangles, (20, 28))
    table = torch.rand(verts.shape[1], channels, dtype=torch.float64)
    shared = interpolate(found, table, triangles)
    assert torch.equal(shared, interpolate(found, table.expand(2, -1, -1), triangles))
    expected = (table[triangles[found.triangle]] * found.barycentric[..., None]).sum(-2).permute(0, 3, 1, 2)
    torch.testing.assert_close(shared, expected * found.covered[:, None])
    own = torch.stack([table, -2 * table])
    assert torch.equal(interpolate(found, own, triangles)[1], -2 * shared[1])


def test_gradient_of_the_attributes():
    verts, triangles = sphere(5, 6)
    found = rasterize(verts, triangles, (7, 9))
    assert not found.barycentric.requires_grad
    for shape in ((verts.shape[1], 2), (2, verts.shape[1], 2)):
        table = torch.rand(shape, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(lambda a: interpolate(found, a, triangles), table)
    interpolate(found, table, triangles).sum().backward()
    torch.testing.assert_close(table.grad.sum((1, 2)), 2.0 * found.covered.sum((1, 2)).double())


def test_value_of_the_triangle_that_is_seen():
    found = rasterize(square(right=0.0), SQUARE, (4, 6))
    parts = interpolate_faces(found, torch.tensor([7, 0]))
    assert parts.dtype == torch.int64
    assert (parts[0, :, 3:] == -1).all()
    assert parts[0, 0, 0] == 0  # upper left triangle
    assert parts[0, 3, 2] == 7  # lower right triangle
    assert (interpolate_faces(found, torch.tensor([0.5, 2.5]), background=0)[0, :, 3:] == 0).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("perspective", [False, True])
def test_cuda_equals_cpu(perspective):
    for verts, triangles in (soup(1, batch=70), sphere(70, 71, batch=9)):
        here = rasterize(verts, triangles, (96, 128), perspective=perspective)
        there = rasterize(verts.cuda(), triangles.cuda(), (96, 128), perspective=perspective)
        assert torch.equal(here.triangle, there.triangle.cpu())
        torch.testing.assert_close(here.barycentric, there.barycentric.cpu(), rtol=0, atol=1e-12)
