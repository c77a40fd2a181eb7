"""Guidance maps and retargeting: signs, axes, whose mesh, what the background holds."""

import dataclasses

import pytest
import torch
from torch.nn import functional as F

from model.frame.coords import apply_affine
from model.heads.head import HeadModel
from model.heads.nmfc import nmfc
from model.heads.retarget import retarget
from model.pwm.config import GuidanceConfig
from model.pwm.guidance import Guidance, smooth_codes
from model.render.area import area_resize, interpolate_area
from model.render.interpolate import interpolate
from model.render.raster import rasterize
from tests.helpers import random_head
from tests.toy_networks import EVERY, SIZE, fit_of


def make(name: str, render_px: int = 32) -> tuple[Guidance, HeadModel]:
    torch.manual_seed(0)
    head = HeadModel(random_head())
    return Guidance(
        head, GuidanceConfig(name=name, render_px=render_px, code_dim=5, code_std=1.0, code_frequency=1.5)
    ), head


def test_displacement_points_from_driving_to_source_in_ndc(placed):
    guidance, head = placed(make("geom_disp"))
    driving = placed(fit_of(head))
    source = driving.replace(tracker_map=placed(torch.tensor([[1.0, 0, 0.25, 0, 1, -0.125]] * 2)))
    maps = guidance(head, source, driving, SIZE)
    covered = rasterize(head.place(driving), head.triangles, (32, 48)).covered
    inside = area_resize(covered[:, None].float(), SIZE) == 1
    assert maps.source.shape == (2, 0, *SIZE)
    assert inside.any()
    assert torch.allclose(
        maps.driving[:, :1][inside], placed(torch.tensor(0.25)), atol=1e-5
    )  # x: the source lies right
    assert torch.allclose(maps.driving[:, 1:][inside], placed(torch.tensor(-0.125)), atol=1e-5)  # y: and above


def test_displacement_is_drawn_on_the_driving_mesh_and_background_is_zero(placed):
    guidance, head = placed(make("geom_disp"))
    left = placed(fit_of(head, tracker_map=(0.5, 0, -0.5, 0, 0.5, 0)))
    right = left.replace(tracker_map=placed(torch.tensor([[0.5, 0, 0.5, 0, 0.5, 0]] * 2)))
    drawn = guidance(head, right, left, SIZE).driving
    assert drawn[:, 0, :, :12].max() > 0.9
    assert (drawn[..., 14:] == 0).all()


@pytest.mark.parametrize(("name", "driving_channels", "source_channels"), [
    ("geom_disp", 2, 0), ("neural_codes", 5, 5), ("nmfc", 3, 3), ("geom_disp+neural_codes", 7, 5),
])  # fmt: skip
def test_channels(name, driving_channels, source_channels, placed):
    guidance, head = placed(make(name))
    maps = guidance(head, placed(fit_of(head, seed=1)), placed(fit_of(head)), SIZE)
    assert maps.driving.shape == (2, driving_channels, *SIZE) == (2, guidance.driving_channels, *SIZE)
    assert maps.source.shape == (2, source_channels, *SIZE) == (2, guidance.source_channels, *SIZE)
    assert guidance.has_disp == ("geom_disp" in name)


@pytest.mark.parametrize("name", ["neural_codes", "nmfc"])
def test_codes_of_source_and_driving_are_the_same_codes_on_their_own_mesh(name, placed):
    guidance, head = placed(make(name))
    one, other = placed(fit_of(head)), placed(fit_of(head, seed=1))
    maps, swapped = guidance(head, one, other, SIZE), guidance(head, other, one, SIZE)
    assert not torch.allclose(maps.source, maps.driving)
    assert torch.equal(maps.source, swapped.driving)
    assert torch.equal(maps.driving, swapped.source)


def test_combination_stacks_displacement_before_codes(placed):
    both, head = placed(make("geom_disp+neural_codes"))
    one, other = placed(fit_of(head)), placed(fit_of(head, seed=1))
    maps = both(head, one, other, SIZE)
    assert torch.equal(maps.driving[:, :2], placed(make("geom_disp"))[0](head, one, other, SIZE).driving)
    alone, _ = placed(make("neural_codes"))
    assert torch.equal(maps.driving[:, 2:], alone(head, one, other, SIZE).driving)


def test_nmfc_scales_all_axes_by_one_factor(placed):
    template = placed(torch.tensor([[-1.0, 0.0, 5.0], [3.0, 1.0, 5.5]]))
    assert torch.allclose(nmfc(template), placed(torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.25, 0.125]])))


def test_rendering_is_fine_and_averaged_down(placed):
    guidance, head = placed(make("nmfc", render_px=40))  # 16 px high: rasterised at 3 times the size
    one, other = placed(fit_of(head)), placed(fit_of(head, seed=1))
    fragments = rasterize(head.place(other), head.triangles, (48, 72))
    wanted = F.avg_pool2d(interpolate(fragments, guidance.nmfc, head.triangles), 3)
    assert torch.allclose(guidance(head, one, other, SIZE).driving, wanted, atol=placed.atol)


def test_area_interpolation_of_one_table_a_mesh(placed):
    head = placed(HeadModel(random_head()))
    fragments = rasterize(head.place(placed(fit_of(head))), head.triangles, (32, 48))
    values = placed(torch.randn(2, head.num_vertices, 2))
    wanted = F.avg_pool2d(interpolate(fragments, values, head.triangles), 2)
    assert torch.allclose(interpolate_area(fragments, values, head.triangles, 2), wanted, atol=placed.atol)


def test_gradient_reaches_the_codes(on_device):
    head = on_device(HeadModel(random_head()))
    fragments = rasterize(head.place(on_device(fit_of(head, count=1))), head.triangles, (8, 12))
    codes = on_device(torch.randn(head.num_vertices, 2, dtype=torch.float64, requires_grad=True))
    assert torch.autograd.gradcheck(
        lambda c: interpolate_area(fragments, c, head.triangles, 2), (codes,), fast_mode=True
    )


def test_unknown_guidance_lists_the_names():
    with pytest.raises(ValueError, match="'foo'.*" + EVERY[0]):
        GuidanceConfig(name="foo", render_px=8, code_dim=1, code_std=1.0, code_frequency=1.5)


def test_same_identity_drives_with_its_own_fit(placed):
    head = placed(HeadModel(random_head()))
    driving = placed(fit_of(head))
    assert retarget(placed(fit_of(head, seed=1)), driving, True, head) is driving


def test_cross_identity_takes_only_the_shape_when_both_crops_are_alike(placed):
    head = placed(HeadModel(random_head()))
    source = placed(fit_of(head, seed=1, tracker_map=(0.9, 0.1, 0.3, -0.1, 0.9, 0.2)))
    driving = placed(fit_of(head, tracker_map=(0.5, 0.0, 0.1, 0.0, 0.5, -0.1)))
    made = retarget(source, driving, False, head)
    assert torch.equal(made.shape, source.shape)
    for field in ("expression", "pose", "camera"):
        assert torch.equal(getattr(made, field), getattr(driving, field))
    assert torch.allclose(made.tracker_map, driving.tracker_map, atol=placed.atol)


def test_cross_identity_keeps_the_squeeze_of_the_source(placed):
    head = placed(HeadModel(random_head()))
    source = placed(fit_of(head, seed=1, tracker_map=(0.8, 0.0, 0.3, 0.0, 0.4, 0.2)))  # twice as wide
    driving = placed(fit_of(head, tracker_map=(0.6, 0.0, 0.1, 0.0, 0.6, -0.1)))
    linear = retarget(source, driving, False, head).tracker_map.reshape(-1, 2, 3)
    assert torch.allclose(linear[:, 0, 0] / linear[:, 1, 1], placed(torch.tensor(2.0)))
    assert torch.allclose(linear[:, 0, 0] * linear[:, 1, 1], placed(torch.tensor(0.36)))


def test_squeeze_is_measured_after_the_tracker_frame_was_turned(placed):
    head = placed(HeadModel(random_head()))
    turn = placed(torch.tensor([[0.8, -0.6], [0.6, 0.8]]))
    squeezed = torch.diag(placed(torch.tensor([1.0, 0.25]))) @ turn
    rows = torch.cat([squeezed, placed(torch.zeros(2, 1))], 1).flatten().tolist()
    source, driving = placed(fit_of(head, seed=1, tracker_map=tuple(rows))), placed(fit_of(head))
    linear = retarget(source, driving, False, head).tracker_map.reshape(-1, 2, 3)[:, :, :2]
    assert torch.allclose(linear, torch.diag(placed(torch.tensor([2.0, 0.5]))).expand(2, 2, 2), atol=placed.atol)


def test_root_joint_stays_where_the_driving_map_puts_it(placed):
    head = placed(HeadModel(random_head()))
    source = placed(fit_of(head, seed=1, tracker_map=(0.8, 0.0, 0.3, 0.0, 0.4, 0.2)))
    driving = placed(fit_of(head, tracker_map=(0.6, 0.05, 0.1, -0.05, 0.5, -0.1)))
    driving = driving.replace(camera=placed(torch.tensor([[0.06, 1.0, -2.0]] * 2)))
    made = retarget(source, driving, False, head)
    basis = placed(torch.from_numpy(head.arrays.shape_basis))
    shaped = head.template + torch.einsum("bs,svc->bvc", source.shape, basis)
    root = placed(torch.from_numpy(head.arrays.joint_regressor))[:1] @ shaped
    tracker_ndc = head.project(root, driving.camera)[..., :2]
    assert torch.allclose(
        apply_affine(made.tracker_map, tracker_ndc), apply_affine(driving.tracker_map, tracker_ndc), atol=1e-5
    )
    assert not torch.allclose(made.tracker_map[:, 2], driving.tracker_map[:, 2])


def test_fits_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        fit_of(HeadModel(random_head())).shape = torch.zeros(1)


def test_first_codes_have_unit_deviation_and_neighbours_alike(placed):
    head = placed(HeadModel(random_head()))
    torch.manual_seed(0)
    codes = smooth_codes(head.template, 64, 1.0)
    assert codes.std().item() == pytest.approx(1.0, abs=0.15)
    edges = head.triangles[:, :2]
    neighbours = (codes[edges[:, 0]] - codes[edges[:, 1]]).norm(dim=1).mean()
    strangers = (codes - codes.roll(len(codes) // 2, 0)).norm(dim=1).mean()
    assert neighbours < 0.7 * strangers


@pytest.mark.parametrize("fit_dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", EVERY)
def test_a_head_in_double_precision_gives_the_same_maps_in_double_precision(name, fit_dtype, on_device):
    single, head = on_device(make(name))
    wide = on_device(HeadModel(random_head()).double())
    torch.manual_seed(0)
    double = Guidance(wide, single.config)
    wanted = single(head, on_device(fit_of(head, seed=1)), on_device(fit_of(head)), SIZE)
    fits = [on_device(fit_of(head, seed=seed)).to(fit_dtype) for seed in (1, 0)]
    for guidance in (double, single):  # made from that head, and made before the head was cast
        found = guidance(wide, *fits, SIZE)
        for part in ("driving", "source"):
            got, expected = getattr(found, part), getattr(wanted, part)
            assert got.dtype == torch.float64
            # A pixel on an edge may fall on the other side of it in the last digit of a vertex.
            assert ((got - expected).abs() > 1e-4).double().mean() < 0.01 if expected.numel() else got.numel() == 0


def test_codes_of_a_head_in_double_precision_learn(on_device):
    guidance, _ = on_device(make("geom_disp+neural_codes"))
    head = on_device(HeadModel(random_head()).double())
    guidance(head, on_device(fit_of(head, seed=1)), on_device(fit_of(head)), SIZE).driving.sum().backward()
    assert guidance.codes.grad.abs().sum() > 0
