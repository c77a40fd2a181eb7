"""3D-FOMM: the published function of the published tensors, and what it must do on any weights."""

from dataclasses import replace

import pytest
import torch
from scipy.spatial.transform import Rotation

from model.baselines.fomm3d.network import ORIGINAL, SPADE, Fomm3d, Fomm3dConfig
from model.baselines.fomm3d.pose import PUBLISHED_PI, Pose, place, rotation, to_degrees
from model.baselines.shared.keypoints import Keypoints, position_grid
from tests.parity.fomm3d import PARTS, check
from tests.parity_of_systems import altered, fixture_of
from tests.published_networks import published_tensors, tensors_of

SMALL = Fomm3dConfig(image_px=32, num_kp=3, depth=4, kp_width=4, kp_largest=16, kp_levels=2, pose_width=8,
                     motion_width=4, motion_largest=16, motion_levels=2, compress=4, width=8, largest=16,
                     num_residual=1, spade_hidden=4)  # fmt: skip
PX = SMALL.image_px
both_decoders = pytest.mark.parametrize("decoder", [SPADE, ORIGINAL])


def small(decoder: str = SPADE, **changes) -> Fomm3d:
    torch.manual_seed(0)
    return Fomm3d(replace(SMALL, decoder=decoder, **changes)).eval().double()


def pair(count: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    return tuple(torch.rand(2, count, 3, PX, PX, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))


@pytest.mark.slow
def test_it_is_the_published_function():
    outputs = check(fixture_of("fomm3d"), (torch.float32,))
    assert [str(output) for output in outputs if not output.ok] == []


@pytest.mark.slow
def test_it_is_the_published_function_in_float64():
    outputs = check(fixture_of("fomm3d"), (torch.float64,))
    assert [str(output) for output in outputs if not output.ok] == []


@pytest.mark.slow
def test_a_small_change_of_the_golden_is_seen(tmp_path):
    changed = check(altered(fixture_of("fomm3d"), tmp_path, "mask_sub", 1e-3), (torch.float32,))
    assert {output.name for output in changed if not output.ok} == {"mask"}


@pytest.mark.parametrize(("config", "generator", "without"), [
    (Fomm3dConfig(), "fv2v_generator_spade", set()),
    (Fomm3dConfig(decoder=ORIGINAL, kp_scale=1), "fv2v_generator_original", {"kp_detector.down.weight"}),
])  # fmt: skip
def test_each_configuration_has_the_published_tensors(config, generator, without):
    published = {}
    for part, manifest in (PARTS | {"generator": generator}).items():
        published |= published_tensors(manifest, part)
    ours = tensors_of(lambda: Fomm3d(config))
    assert published.keys() - ours.keys() == without
    assert ours == {key: shape for key, shape in published.items() if key not in without}


@both_decoders
@torch.inference_mode()
def test_a_batch_is_its_pairs_one_by_one(decoder, on_device):
    network, (source, driving) = on_device(small(decoder)), on_device(pair())
    together = network(source, {"driving": driving})
    assert together.image.shape == source.shape
    assert 0 < together.image.min() < together.image.max() < 1
    for i in range(2):
        alone = network(source[i : i + 1], {"driving": driving[i : i + 1]})
        torch.testing.assert_close(together.image[i : i + 1], alone.image, rtol=0, atol=on_device.atol)
        torch.testing.assert_close(together.own.mask[i : i + 1], alone.own.mask, rtol=0, atol=on_device.atol)


@both_decoders
def test_a_gradient_reaches_every_weight_and_both_images(decoder, on_device):
    network, (source, driving) = on_device(small(decoder)), on_device(pair(1))
    source.requires_grad_(), driving.requires_grad_()
    network(source, {"driving": driving}).image.sum().backward()
    without = {name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()}
    # What a softmax over pixels or a norm of the channel takes away again has none but rounding's.
    assert {name for name in without if name != "kp_detector.kp.bias" and not name.endswith("conv_0.bias")} == set()
    assert source.grad.any()
    assert driving.grad.any()


@both_decoders
@torch.no_grad()
def test_the_same_image_twice_moves_nothing(decoder, on_device):
    network, (source, _) = on_device(small(decoder)), on_device(pair(1))
    inside = network(source, {"driving": source}).own
    torch.testing.assert_close(inside.deformation[0], position_grid((4, 8, 8), source), rtol=0, atol=on_device.atol)
    torch.testing.assert_close(inside.mask.sum(1), on_device(torch.ones(1, 4, 8, 8, dtype=torch.float64)))


@torch.no_grad()
def test_relative_motion_from_the_driving_frame_itself_moves_nothing(on_device):
    network, (source, driving) = on_device(small()), on_device(pair(1))
    still = network(source, {"driving": driving, "driving_first": driving}).own
    torch.testing.assert_close(still.driving.value, still.source.value)
    absolute = network(source, {"driving": driving}).own
    other = network(source, {"driving": driving, "driving_first": source}).own
    torch.testing.assert_close(other.driving.value, absolute.driving.value)


@torch.no_grad()
def test_of_the_driving_image_only_its_pose_and_expression_are_used(on_device):
    network, (source, driving) = on_device(small()), on_device(pair(1))
    made = network(source, {"driving": driving}).own
    canonical = network.kp_detector(source)
    torch.testing.assert_close(made.canonical.value, canonical.value)
    torch.testing.assert_close(made.driving.value, place(canonical, network.he_estimator(driving)).value)


def test_the_detector_of_beta_sees_the_whole_image(on_device):
    source, driving = on_device(pair(1))
    seen = []
    network = on_device(small(ORIGINAL, kp_scale=1))
    network.kp_detector.kp.register_forward_hook(lambda module, given, out: seen.append(out.shape))
    assert network(source, {"driving": driving}).image.shape == source.shape
    assert seen == [(1, 3, 4, PX, PX)]


def test_angles_are_means_over_bins_and_named_the_wrong_way_round(on_device):
    logits = on_device(torch.full((66, 66), -1e4)).fill_diagonal_(1e4)
    assert to_degrees(logits).tolist() == list(range(-99, 99, 3))
    network = on_device(small())
    with torch.no_grad():
        before = network.he_estimator(on_device(pair())[0])
        network.he_estimator.fc_roll.bias += 1
        after = network.he_estimator(on_device(pair())[0])
    torch.testing.assert_close(after.yaw, before.yaw + 1)
    torch.testing.assert_close(after.roll, before.roll)


def test_keypoints_are_turned_by_roll_then_yaw_then_pitch_and_moved(on_device):
    yaw, pitch, roll = on_device(torch.tensor([[20.0, -50], [5, 30], [-10, 80]], dtype=torch.float64))
    angles = torch.stack([pitch, yaw, roll], 1) * PUBLISHED_PI / 180
    expected = on_device(torch.from_numpy(Rotation.from_euler("XYZ", angles.cpu().numpy()).as_matrix()))
    torch.testing.assert_close(rotation(yaw, pitch, roll), expected)
    points = on_device(torch.rand(2, 5, 3, dtype=torch.float64))
    bins = on_device(torch.full((2, 66), -1e4, dtype=torch.float64))
    at_33_deg = bins.clone()
    at_33_deg[:, 44] = 1e4
    at_rest = bins.clone()
    at_rest[:, 33] = 1e4
    pose = Pose(
        at_33_deg,
        at_rest,
        at_rest,
        on_device(torch.tensor([[1.0, 2, 3]] * 2).double()),
        on_device(torch.ones(2, 15).double()),
    )
    found = place(Keypoints(points), pose).value
    turn = Rotation.from_euler("y", 33 * PUBLISHED_PI / 180)
    expected = turn.apply(points.flatten(0, 1).cpu().numpy()).reshape(2, 5, 3) + [2, 3, 4]
    torch.testing.assert_close(found, on_device(torch.from_numpy(expected)))


def test_what_it_cannot_be_or_animate_is_refused_by_name():
    with pytest.raises(ValueError, match="spade, original, not 'spad'"):
        Fomm3dConfig(decoder="spad")
    network = Fomm3d(SMALL)
    with pytest.raises(ValueError, match="no signal `driving`"):
        network(torch.zeros(1, 3, PX, PX), {})
    image = torch.zeros(1, 3, PX, PX)
    with pytest.raises(ValueError, match=r"`driving_first`: expected shape \(1, 3, 32, 32\)"):
        network(image, {"driving": image, "driving_first": torch.zeros(1, 3, 64, 64)})


@pytest.mark.parametrize(("decoder", "numbers", "tensors"), [(SPADE, 100_988_176, 386), (ORIGINAL, 53_101_392, 304)])
def test_the_released_configurations_have_the_published_sizes(decoder, numbers, tensors):
    with torch.device("meta"):
        network = Fomm3d(Fomm3dConfig(decoder=decoder))
    parts = (network.generator, network.kp_detector, network.he_estimator)
    assert [len(part.state_dict()) for part in parts] == [tensors, 75, 402]
    counts = [sum(p.numel() for p in part.parameters()) for part in parts]
    assert counts == [numbers, 41_940_047, 30_254_838]


def test_at_its_native_size_everything_stays_on_the_device_of_the_images():
    with torch.device("meta"):  # whose tensors mix with no other device's
        network, image = Fomm3d().eval(), torch.empty(2, 3, 256, 256)
    made = network(image, {"driving": image})
    assert (made.image.shape, made.image.device) == (image.shape, image.device)
    assert all(panel.shape[:2] == (2, 3) and panel.device == image.device for panel in made.panels.values())


@pytest.mark.parametrize("kernel", [3, 7])
def test_the_masks_kernel_is_the_configs(kernel):
    network = small(mask_kernel=kernel)
    assert network.generator.dense_motion_network.mask.weight.shape[2:] == (kernel, kernel, kernel)
    source, driving = pair()
    image = network(source, {"driving": driving}).image
    assert image.shape == source.shape
