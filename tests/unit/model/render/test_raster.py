"""The rasteriser against a brute-force oracle and against what can be worked out by hand."""

import numpy as np
import pytest
import torch

from model.frame.coords import identity_grid
from model.render import fragment_lists, raster
from model.render.interpolate import interpolate
from model.render.raster import rasterize
from tests.meshes import SQUARE, soup, sphere, square
from tests.oracles import raster as oracle


@pytest.fixture(params=["loops", "lists"], autouse=True)
def way(request, monkeypatch):
    """A CPU's own way, and on a CPU the way of all other devices."""
    if request.param == "lists":
        monkeypatch.setattr(raster, "LOOPS_ON", ())


def assert_equals_oracle(verts, triangles, size_hw, **options):
    found = rasterize(verts, triangles, size_hw, **options)
    for item, mesh in enumerate(verts):
        ids, weights, depth = oracle.rasterize(mesh.cpu().numpy(), triangles.cpu().numpy(), size_hw, **options)
        np.testing.assert_array_equal(found.triangle[item].cpu().numpy(), ids)
        tolerance = 1e-12 if verts.dtype == torch.float64 else 1e-6
        np.testing.assert_allclose(found.barycentric[item].cpu().numpy(), weights, atol=tolerance)
        np.testing.assert_allclose(found.depth[item].cpu().numpy(), depth, rtol=tolerance, atol=tolerance)
    return found


@pytest.mark.parametrize("perspective", [False, True])
@pytest.mark.parametrize("cull_back", [False, True])
@pytest.mark.parametrize(("size_hw", "spread"), [((37, 61), 0.3), ((64, 23), 0.05), ((1, 9), 1.0), ((48, 80), 2.0)])
def test_ids_equal_the_oracle(size_hw, spread, cull_back, perspective, on_device):
    verts, triangles = on_device(soup(size_hw[0], spread=spread))
    found = assert_equals_oracle(verts, triangles, size_hw, perspective=perspective, cull_back=cull_back)
    assert len(found.triangle.unique()) > 5


@pytest.mark.parametrize("perspective", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_closed_mesh_equals_the_oracle(dtype, perspective, on_device):
    verts, triangles = on_device(sphere())
    found = assert_equals_oracle(verts.to(dtype), triangles, (72, 96), perspective=perspective)
    assert found.depth.dtype == found.barycentric.dtype == dtype
    assert not torch.equal(found.triangle[0], found.triangle[1])
    assert found.depth[found.covered].max() < 2.01  # only the near half of the ball is seen


def test_vertices_on_pixel_centres_tie_as_in_the_oracle(on_device):
    rng = np.random.default_rng(3)
    corners = rng.integers(0, 12, (300, 3, 2)) + 0.5
    verts = np.concatenate([corners / [6.0, 8.0] - 1, rng.integers(0, 3, (300, 3, 1))], -1).reshape(1, -1, 3)
    assert_equals_oracle(
        on_device(torch.from_numpy(verts)), on_device(torch.arange(900)).view(-1, 3), (16, 12), cull_back=False
    )


def test_far_vertices_equal_the_oracle(on_device):
    verts, triangles = on_device(soup(5, batch=1, count=60, spread=60.0))
    verts[0, ::50, 0] = 1e9  # outside the guard band: dropped
    verts[0, 30::50, 1] = -1e9
    found = assert_equals_oracle(verts, triangles, (24, 40), cull_back=False)
    assert found.covered.any()
    assert not torch.isin(found.triangle, on_device(torch.tensor([0, 10]))).any()


def test_rectangle_covers_the_pixels_worked_out_by_hand(on_device):
    verts = on_device(square(left=-0.5, right=1.0, top=-1.0, bottom=0.0))  # columns 2..7 of 8, rows 0..1 of 4
    expected = on_device(torch.zeros(1, 4, 8, dtype=torch.bool))
    expected[:, :2, 2:] = True
    assert torch.equal(rasterize(verts, on_device(SQUARE), (4, 8)).covered, expected)


def test_only_front_faces_are_seen(on_device):
    verts = on_device(square())
    assert rasterize(verts, on_device(SQUARE), (5, 7)).covered.all()
    assert not rasterize(verts, on_device(SQUARE).flip(1), (5, 7)).covered.any()
    assert rasterize(verts, on_device(SQUARE).flip(1), (5, 7), cull_back=False).covered.all()


def test_smaller_depth_is_nearer_and_ties_go_to_the_lowest_index(on_device):
    verts = torch.cat([on_device(square(depth=2.0)), on_device(square(right=0.0, depth=1.0))], 1)
    both = torch.cat([on_device(SQUARE), on_device(SQUARE) + 4])
    ids = rasterize(verts, both, (6, 10)).triangle[0]
    assert (ids[:, :5] >= 2).all()
    assert (ids[:, 5:] < 2).all()
    verts[..., 2] = 1.0
    assert (rasterize(verts, both, (6, 10)).triangle < 2).all()
    for triangles in (
        on_device(SQUARE),
        on_device(SQUARE).flip(0),
    ):  # their shared edge runs through the centres of the anti-diagonal
        ids = rasterize(on_device(square()), triangles, (4, 4)).triangle[0]
        assert ids.flip(1).diagonal().tolist() == [0, 0, 0, 0]
        assert ids.float().mean() == 6 / 16


def test_order_of_depth_does_not_depend_on_units_or_offset(on_device):
    verts, triangles = on_device(soup(11))
    moved = verts.clone()
    moved[..., 2] = verts[..., 2] * 4096 + 2.0**22
    found = rasterize(verts, triangles, (40, 56), cull_back=False)
    shifted = rasterize(moved, triangles, (40, 56), cull_back=False)
    assert torch.equal(found.triangle, shifted.triangle)
    expected = found.depth * 4096 + 2.0**22 * found.covered
    torch.testing.assert_close(shifted.depth, expected, rtol=1e-12, atol=0)


def test_perspective_interpolates_the_point_that_projects_to_the_pixel(on_device):
    corners = on_device(torch.tensor([[[-3.0, -1.0, 2.0], [1.0, -1.2, 1.5], [4.0, 5.0, 9.0]]], dtype=torch.float64))
    verts = torch.stack([corners[..., 0] / corners[..., 2], -corners[..., 1] / corners[..., 2], corners[..., 2]], -1)
    triangles = on_device(torch.tensor([[0, 1, 2]]))
    size_hw = (96, 64)
    found = rasterize(verts, triangles, size_hw, perspective=True)
    x, y, z = interpolate(found, corners[0], triangles)[0]
    inside = found.covered[0]
    grid = identity_grid(size_hw, on_device.device, torch.float64)[0]
    assert inside.sum() > 500
    torch.testing.assert_close((x / z)[inside], grid[0][inside], atol=1e-3, rtol=0)
    torch.testing.assert_close((-y / z)[inside], grid[1][inside], atol=1e-3, rtol=0)
    torch.testing.assert_close(found.depth[0], z)
    flat = interpolate(rasterize(verts, triangles, size_hw), corners[0], triangles)[0]
    assert ((flat[0] / flat[2])[inside] - grid[0][inside]).abs().max() > 0.1


def test_behind_the_camera_is_dropped_safely(on_device):
    verts = torch.cat([on_device(square(depth=3.0)), on_device(square(right=0.0, depth=1.0))], 1)
    verts[0, 4] = on_device(torch.tensor([torch.nan, -torch.inf, 0.0]))  # what projecting depth 0 gives
    verts[0, 5, 2] = -1.0
    found = rasterize(verts, torch.cat([on_device(SQUARE), on_device(SQUARE) + 4]), (8, 12), perspective=True)
    assert found.covered.all()
    assert (found.triangle < 2).all()
    torch.testing.assert_close(found.depth, torch.full_like(found.depth, 3))
    behind = verts.clone()
    behind[..., 2] = -2.0
    assert not rasterize(behind, on_device(SQUARE), (8, 12), perspective=True).covered.any()


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_vertices_that_are_not_finite_are_refused(value):
    verts = torch.cat([square(), square()])
    verts[1, 2, 0] = value
    with pytest.raises(ValueError, match=r"1 vertices are not finite, in meshes \[1\]"):
        rasterize(verts, SQUARE, (8, 8))
    with pytest.raises(ValueError, match="not finite"):
        rasterize(verts, SQUARE, (8, 8), perspective=True)


def test_nothing_to_see(on_device):
    outside = on_device(square(left=1.5, right=2.0))
    flat = on_device(square(left=0.25, right=0.25))
    tiny = on_device(square(left=0.01, right=0.02, top=0.01, bottom=0.02))  # between pixel centres of a coarse frame
    for verts in (outside, flat, tiny):
        found = rasterize(verts, on_device(SQUARE), (4, 6))
        assert (found.triangle == -1).all()
        assert not found.barycentric.any()
        assert not found.depth.any()
        assert not interpolate(found, on_device(torch.ones(4, 2)), on_device(SQUARE)).any()
    assert rasterize(on_device(square()), on_device(SQUARE)[:0], (4, 6)).triangle.shape == (1, 4, 6)
    assert rasterize(on_device(square())[:0], on_device(SQUARE), (4, 6)).barycentric.shape == (0, 4, 6, 3)


def test_answer_does_not_depend_on_batch_or_chunks(monkeypatch, on_device):
    verts, triangles = on_device(soup(7, batch=11, count=120))
    verts[2, :, 2] *= 1e12  # its depth range must not coarsen that of the others
    size_hw = (31, 45)
    whole = rasterize(verts, triangles, size_hw)
    monkeypatch.setattr(fragment_lists, "MAX_FRAGMENTS", 97)
    monkeypatch.setattr(fragment_lists, "MAX_PIXELS", 101)
    monkeypatch.setattr(fragment_lists, "MESHES", 3)
    chunked = rasterize(verts, triangles, size_hw)
    alone = rasterize(verts[4:5], triangles, size_hw)
    for name in ("triangle", "barycentric", "depth"):
        assert torch.equal(getattr(whole, name), getattr(chunked, name))
        assert torch.equal(getattr(whole[4:5], name), getattr(alone, name))


@pytest.mark.parametrize("perspective", [False, True])
def test_meshes_of_one_batch_may_have_their_own_triangles(perspective, on_device):
    verts, first = on_device(soup(21, count=80))
    second = first.flip(0)[:50]
    filled = torch.cat(
        [second, on_device(torch.zeros(30, 3, dtype=torch.int64))]
    )  # triangles without area are not drawn
    found = rasterize(verts, torch.stack([first, filled]), (25, 36), perspective=perspective)
    for item, triangles in enumerate((first, second)):
        alone = rasterize(verts[item : item + 1], triangles, (25, 36), perspective=perspective)
        assert alone.covered.any()
        for name in ("triangle", "barycentric", "depth"):
            assert torch.equal(getattr(found, name)[item], getattr(alone, name)[0])


def test_degenerate_triangles_are_dropped_and_their_neighbours_kept(on_device):
    verts = torch.cat([on_device(square()), on_device(square())[:, :1]], 1)
    same_corner, same_place, on_a_line = [0, 0, 1], [0, 1, 4], [0, 4, 0]
    triangles = on_device(torch.tensor([same_corner, same_place, on_a_line, *SQUARE.tolist()]))
    found = rasterize(verts, triangles, (5, 7), cull_back=False)
    assert found.covered.all()
    assert found.triangle.unique().tolist() == [3, 4]


def test_wrong_input_is_refused():
    verts = square()
    for bad_verts, bad_triangles, size_hw, message in [
        (verts[0], SQUARE, (4, 4), r"verts must be \(B, V, 3\)"),
        (verts.half(), SQUARE, (4, 4), "float16"),
        (verts, SQUARE[:, :2], (4, 4), r"triangles must be \(F, 3\) or \(1, F, 3\)"),
        (verts, SQUARE.expand(2, 2, 3), (4, 4), r"or \(1, F, 3\) integers, got \(2, 2, 3\)"),
        (verts, SQUARE[:1].expand(2**26 + 1, 3), (4, 4), "at most 67108864 triangles"),
        (verts, SQUARE.float(), (4, 4), "integers"),
        (verts, SQUARE + 1, (4, 4), "name vertices 1 to 4, but there are 4"),
        (verts, SQUARE - 1, (4, 4), "name vertices -1 to 2"),
        (verts, SQUARE, (0, 4), "1 to 4096 px"),
        (verts, SQUARE, (4, 4097), "1 to 4096 px"),
    ]:
        with pytest.raises(ValueError, match=message):
            rasterize(bad_verts, bad_triangles, size_hw)


@pytest.mark.parametrize("perspective", [False, True])
@pytest.mark.parametrize("cull_back", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_loops_and_lists_give_the_same_bits(monkeypatch, dtype, cull_back, perspective):
    large = torch.cat([square(left=-3.0, right=9.0, depth=2.0), square(top=-5.0, bottom=1.5, depth=1.0)], 1)
    tilted = large + torch.linspace(0, 0.9, 24, dtype=large.dtype).view(1, 8, 3)  # depths are rounded in these
    cases = [(soup(17, batch=5), (53, 34)), (sphere(40, 41, batch=3), (96, 128))]
    cases.append(((tilted, torch.cat([SQUARE, SQUARE + 4])), (300, 451)))
    for (verts, triangles), size_hw in cases:
        job = verts.to(dtype), triangles, size_hw
        found = []
        for devices in (("cpu",), ()):
            monkeypatch.setattr(raster, "LOOPS_ON", devices)
            found.append(rasterize(*job, perspective=perspective, cull_back=cull_back))
        assert found[0].covered.any()
        for name in ("triangle", "barycentric", "depth"):
            assert torch.equal(*(getattr(one, name) for one in found)), name


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
@pytest.mark.parametrize("perspective", [False, True])
def test_cuda_equals_cpu(perspective):
    for verts, triangles in (soup(1, batch=70), sphere(70, 71, batch=9)):
        here = rasterize(verts, triangles, (96, 128), perspective=perspective)
        there = rasterize(verts.cuda(), triangles.cuda(), (96, 128), perspective=perspective)
        assert torch.equal(here.triangle, there.triangle.cpu())
        torch.testing.assert_close(here.barycentric, there.barycentric.cpu(), rtol=0, atol=1e-12)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_cuda_has_the_int64_minimum_that_visibility_stands_on():
    rng = torch.Generator().manual_seed(0)
    where = torch.randint(0, 1000, (200_000,), generator=rng)
    keys = torch.randint(0, 2**50, (200_000,), generator=rng)  # beyond 32 bits, and beyond float64's 53 if rounded up
    here = torch.full((1000,), fragment_lists.NOTHING).scatter_reduce_(0, where, keys, "amin")
    there = torch.full((1000,), fragment_lists.NOTHING, device="cuda").scatter_reduce_(
        0, where.cuda(), keys.cuda(), "amin"
    )
    assert torch.equal(here, there.cpu())
