"""FOMM: the published function of the published tensors, and what it must do on any weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial import ConvexHull

from model.baselines.fomm.network import Fomm, FommConfig, hull_area, movement_scale
from model.baselines.shared.keypoints import (
    AntiAlias,
    Keypoints,
    expected_position,
    position_grid,
    relative,
    sparse_motions,
)
from tests.parity.fomm import check
from tests.parity_of_systems import altered, fixture_of

SMALL = FommConfig(image_px=64, num_kp=3, kp_width=4, kp_largest=16, kp_levels=2, motion_width=4, motion_largest=16,
                   motion_levels=2, width=8, largest=16, num_residual=1)  # fmt: skip


def small(seed: int = 0, **changes) -> Fomm:
    torch.manual_seed(seed)
    network = Fomm(replace(SMALL, **changes)).eval().double()
    with torch.no_grad():  # the identity, as a trained detector's: random matrices may be close to singular
        network.kp_detector.jacobian.weight.mul_(0.1)
        network.kp_detector.jacobian.bias.copy_(torch.tensor([1.0, 0, 0, 1]).repeat(SMALL.num_kp))
    return network


def pair(count: int = 2, px: int = SMALL.image_px) -> tuple[torch.Tensor, torch.Tensor]:
    return tuple(torch.rand(2, count, 3, px, px, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))


def test_it_is_the_published_function():
    outputs = check(fixture_of("fomm"), (torch.float32,))
    assert [str(output) for output in outputs if not output.ok] == []


@pytest.mark.slow
def test_it_is_the_published_function_in_float64_and_a_small_change_is_seen(tmp_path):
    fixture = fixture_of("fomm")
    assert all(output.ok for output in check(fixture))
    changed = check(altered(fixture, tmp_path, "deformed_ac_true_sub", 1e-2), (torch.float32,))
    assert {output.name for output in changed if not output.ok} == {"deformed_ac_true"}


@torch.inference_mode()
def test_a_batch_is_its_pairs_one_by_one(on_device):
    network, (source, driving) = on_device(small()), on_device(pair())
    together = network(source, {"driving": driving})
    assert together.image.shape == source.shape
    for i in range(2):
        alone = network(source[i : i + 1], {"driving": driving[i : i + 1]})
        torch.testing.assert_close(together.image[i : i + 1], alone.image, rtol=0, atol=on_device.atol)
        for name, panel in alone.panels.items():
            torch.testing.assert_close(together.panels[name][i : i + 1], panel, rtol=0, atol=on_device.atol)


def test_a_gradient_reaches_every_weight_and_both_images(on_device):
    network, (source, driving) = on_device(small()), on_device(pair(1))
    source.requires_grad_(), driving.requires_grad_()
    network(source, {"driving": driving}).image.sum().backward()
    without = {name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()}
    assert without - {"kp_detector.kp.bias"} == set()  # a softmax over pixels takes it away again
    assert source.grad.any()
    assert driving.grad.any()


@torch.no_grad()
def test_the_same_image_twice_moves_nothing_and_corners_are_as_configured(on_device):
    network, (source, _) = on_device(small()), on_device(pair(1))
    inside = network(source, {"driving": source}).own
    torch.testing.assert_close(inside.deformation[0], position_grid((16, 16), source), rtol=0, atol=1e-9)
    unmoved = network.generator.dense_motion_network.down(source)[:, None].expand_as(inside.sparse_deformed)
    torch.testing.assert_close(inside.sparse_deformed, unmoved, rtol=0, atol=1e-9)
    edges = on_device(small(align_corners=False))(source, {"driving": source}).own
    assert (edges.sparse_deformed - unmoved).abs().max() > 0.01  # the documented zoom of less than a pixel


@torch.no_grad()
def test_relative_motion_from_the_driving_frame_itself_moves_nothing(on_device):
    network, (source, driving) = on_device(small()), on_device(pair(1))
    still = network(source, {"driving": driving, "driving_first": driving}).own
    torch.testing.assert_close(still.driving.value, still.source.value)
    torch.testing.assert_close(still.driving.jacobian, still.source.jacobian)
    other = network(source, {"driving": driving, "driving_first": source}).own
    torch.testing.assert_close(other.driving.value, network.kp_detector(driving).value)


def test_relative_motion_is_scaled_by_the_size_of_the_faces():
    source, first = torch.rand(2, 5, 10, 2, generator=torch.Generator().manual_seed(0))
    hulls = [[ConvexHull(points).volume for points in batch.double().numpy()] for batch in (source, first)]
    np.testing.assert_allclose(movement_scale(source, first), np.sqrt(np.divide(*hulls)), rtol=1e-5)
    moved = relative(Keypoints(source), Keypoints(first + 0.1), Keypoints(first), torch.full((5,), 3.0))
    torch.testing.assert_close(moved.value, source + 0.3)
    on_an_edge = torch.tensor([[[0.0, 0], [1, 0], [2, 0], [2, 2], [0, 2], [1, 1]]])
    assert hull_area(on_an_edge).item() == pytest.approx(4)


@torch.no_grad()
def test_the_scale_of_movement_is_used_when_asked_for(on_device):
    source, driving = on_device(pair(1))
    signals = {"driving": driving, "driving_first": source.flip(-1)}
    plain, scaled = (on_device(small(adapt_movement_scale=on))(source, signals).own for on in (False, True))
    first = on_device(small()).kp_detector(source.flip(-1)).value
    scale = movement_scale(plain.source.value, first)
    torch.testing.assert_close(
        scaled.driving.value - scaled.source.value, scale * (plain.driving.value - plain.source.value)
    )


def test_a_keypoint_is_fetched_from_where_it_is_in_the_source(placed):
    source, driving = (
        Keypoints(placed(torch.tensor([[[x, y]]])), placed(torch.eye(2))[None, None]) for x, y in ((0.5, -1), (-0.5, 1))
    )
    motions = sparse_motions(source, driving, (5, 5))
    assert motions.shape == (1, 2, 5, 5, 2)
    torch.testing.assert_close(motions[0, 0], position_grid((5, 5), source.value))
    torch.testing.assert_close(motions[0, 1, 4, 1], source.value[0, 0])  # the pixel at (-0.5, 1)


def test_around_a_keypoint_what_is_fetched_is_turned_as_the_jacobians_say(placed):
    """Against equation 4 pixel by pixel, values and gradients, in a frame that is no square."""
    draw, size = torch.Generator().manual_seed(0), (3, 5)
    points, turns = (
        torch.randn(2, 2, 4, 2, generator=draw),
        torch.eye(2) + 0.2 * torch.randn(2, 2, 4, 2, 2, generator=draw),
    )
    learns = [placed(part.requires_grad_()) for part in (*points, *turns)]
    source, driving = Keypoints(learns[0], learns[2]), Keypoints(learns[1], learns[3])
    grid = position_grid(size, learns[0])
    turn = source.jacobian @ torch.inverse(driving.jacobian)
    away = grid - driving.value[:, :, None, None]
    wanted = torch.einsum("bkij,bkhwj->bkhwi", turn, away) + source.value[:, :, None, None]
    found = sparse_motions(source, driving, size)[:, 1:]
    torch.testing.assert_close(found, wanted, rtol=0, atol=10 * placed.atol)
    weights = placed(torch.randn(found.shape, generator=draw))
    ours, theirs = (torch.autograd.grad((made * weights).sum(), learns) for made in (found, wanted))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=100 * placed.atol)


def test_positions_are_x_y_z_of_the_heat(placed):
    heat = placed(torch.zeros(1, 1, 3, 5, 9))
    heat[0, 0, 2, 1, 4] = 1
    assert expected_position(heat)[0, 0].tolist() == [0, -0.5, 1]


def test_the_small_image_keeps_a_constant_inside(placed):
    small_image = placed(AntiAlias(3, 0.25))(placed(torch.ones(1, 3, 64, 64)))
    assert small_image.shape == (1, 3, 16, 16)
    torch.testing.assert_close(small_image[..., 2:-2, 2:-2], placed(torch.ones(1, 3, 12, 12)))
    assert small_image[..., 0, 0].max() < 0.5  # black outside


@pytest.mark.parametrize(("signals", "message"), [
    ({}, "no signal `driving`"),
    ({"driving": torch.zeros(1, 3, 32, 64)}, r"`driving`: expected shape \(1, 3, 64, 64\), got \(1, 3, 32, 64\)"),
    ({"driving": torch.zeros(2, 3, 64, 64)}, r"`driving`: .* got \(2, 3, 64, 64\)"),
    ({"driving": torch.zeros(1, 3, 64, 64), "driving_first": torch.zeros(1, 3, 8, 8)}, "`driving_first`: expected"),
])  # fmt: skip
def test_what_it_cannot_animate_is_refused_by_name(signals, message):
    with pytest.raises(ValueError, match=message):
        Fomm(SMALL)(torch.zeros(1, 3, 64, 64), signals)


def test_a_source_of_another_size_is_refused():
    with pytest.raises(ValueError, match="source: expected images of 64 px"):
        Fomm(SMALL)(torch.zeros(1, 3, 256, 256), {"driving": torch.zeros(1, 3, 64, 64)})


def test_the_released_configuration_has_the_published_size():
    with torch.device("meta"):
        network = Fomm()
    counts = [sum(p.numel() for p in part.parameters()) for part in (network.generator, network.kp_detector)]
    assert counts == [45_575_391, 14_215_368]
    assert [len(part.state_dict()) for part in (network.generator, network.kp_detector)] == [196, 75]


def test_at_its_native_size_everything_stays_on_the_device_of_the_images():
    with torch.device("meta"):  # whose tensors mix with no other device's
        network, image = Fomm().eval(), torch.empty(2, 3, 256, 256)
    made = network(image, {"driving": image})
    assert (made.image.shape, made.image.device) == (image.shape, image.device)
    assert all(panel.shape[:2] == (2, 3) and panel.device == image.device for panel in made.panels.values())
