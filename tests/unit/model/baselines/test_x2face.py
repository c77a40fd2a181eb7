"""X2Face: the published function of the published tensors, and what it must do on any weights."""

import pytest
import torch

from model.baselines.x2face.network import Level, X2Face, X2FaceConfig
from tests.parity.x2face import check
from tests.parity_of_systems import altered, fixture_of

SMALL = X2FaceConfig(native_px=32, levels=5, width=4, bottleneck=8)
PX = 32


def small() -> X2Face:
    torch.manual_seed(0)
    return X2Face(SMALL).eval().double()


def pair(count: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    return tuple(torch.rand(2, count, 3, PX, PX, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))


def test_it_is_the_published_function():
    outputs = check(fixture_of("x2face"), (torch.float32,))
    assert [str(output) for output in outputs if not output.ok] == []


@pytest.mark.slow
def test_it_is_the_published_function_in_float64_and_a_small_change_is_seen(tmp_path):
    fixture = fixture_of("x2face")
    assert all(output.ok for output in check(fixture))
    changed = check(altered(fixture, tmp_path, "embedded_sub", 1e-2), (torch.float32,))
    assert {output.name for output in changed if not output.ok} == {"embedded"}


@torch.inference_mode()
def test_a_batch_is_its_pairs_one_by_one(on_device):
    network, (source, driving) = on_device(small()), on_device(pair())
    together = network(source, {"driving": driving})
    assert together.image.shape == source.shape
    for i in range(2):
        alone = network(source[i : i + 1], {"driving": driving[i : i + 1]})
        torch.testing.assert_close(together.image[i : i + 1], alone.image, rtol=0, atol=on_device.atol)


def test_a_gradient_reaches_every_weight_and_both_images(on_device):
    network, (source, driving) = on_device(small()), on_device(pair(1))
    source.requires_grad_(), driving.requires_grad_()
    network(source, {"driving": driving}).image.sum().backward()
    assert [name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()] == []
    assert source.grad.any()
    assert driving.grad.any()


@torch.no_grad()
def test_no_flow_is_the_source_and_a_full_flow_looks_outside(on_device):
    network, (source, driving) = on_device(small()), on_device(pair(1))
    for part in (network.unwrapped, network.sampler):
        part.netG["model"].up[2].weight.zero_()
    made = network(source, {"driving": driving})
    torch.testing.assert_close(made.panels["embedded face"], source, rtol=0, atol=1e-9)
    torch.testing.assert_close(made.image, source, rtol=0, atol=1e-9)
    # Twice tanh of a large number is 0.76, here 11.8 pixels: the 11 rightmost look outside.
    network.sampler.netG["model"].up[2] = torch.nn.Conv2d(4, 2, 3, padding=1).double()
    network.sampler.netG["model"].up[2].weight.zero_()
    network.sampler.netG["model"].up[2].bias.copy_(on_device(torch.tensor([50.0, 0.0])))
    made = network(source, {"driving": driving})
    assert made.own.drive_raw[:, 0].min() == 1
    assert not made.image[..., -11:].any()
    assert made.image[..., -12].all()


@torch.no_grad()
def test_a_skip_is_rectified_and_its_input_stays_as_it_was(placed):
    level = placed(Level(4, 8, None, skips=True).eval())
    given = placed(torch.randn(1, 4, 8, 8))
    kept = given.clone()
    out = level(given)
    assert out.shape == (1, 8, 8, 8)
    assert torch.equal(given, kept)
    assert torch.equal(out[:, 4:], torch.where(given > 0, given, 0.2 * given))
    assert placed(Level(4, 8, None, skips=False).eval())(given).shape == (1, 4, 8, 8)


@pytest.mark.parametrize(("signals", "message"), [
    ({"driver": torch.zeros(1, 3, PX, PX)}, r"no signal `driving`.*\['driver'\]"),
    ({"driving": torch.zeros(1, 3, 64, 64)}, r"`driving`: expected shape \(1, 3, 32, 32\)"),
])  # fmt: skip
def test_what_it_cannot_animate_is_refused_by_name(signals, message):
    with pytest.raises(ValueError, match=message):
        X2Face(SMALL)(torch.zeros(1, 3, PX, PX), signals)


def test_the_released_configuration_has_the_published_size():
    with torch.device("meta"):
        network = X2Face()
    assert network.native_px == 256
    counts = [sum(p.numel() for p in part.parameters()) for part in (network.unwrapped, network.sampler)]
    assert counts == [39_157_760, 25_614_080]
    assert [len(part.state_dict()) for part in (network.unwrapped, network.sampler)] == [81, 81]


def test_at_its_native_size_everything_stays_on_the_device_of_the_images():
    with torch.device("meta"):  # whose tensors mix with no other device's
        network, image = X2Face().eval(), torch.empty(2, 3, 256, 256)
    made = network(image, {"driving": image})
    assert (made.image.shape, made.image.device) == (image.shape, image.device)
    assert all(panel.shape[:2] == (2, 3) and panel.device == image.device for panel in made.panels.values())


@torch.no_grad()
def test_fewer_levels_leave_the_deepest_more_pixels():
    network = X2Face(X2FaceConfig(native_px=32, levels=3, width=4, bottleneck=8)).eval()
    images = torch.rand(2, 1, 3, PX, PX, generator=torch.Generator().manual_seed(1))
    assert network(images[0], {"driving": images[1]}).image.shape == (1, 3, PX, PX)
    with pytest.raises(ValueError, match=r"native_px 36 is no multiple of 2 \*\* 3"):
        X2FaceConfig(native_px=36, levels=3)
