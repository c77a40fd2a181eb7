"""PIRender's network: the published tensors, the published function, and what every network here does."""

import pytest
import torch

from model.baselines.pirender.network import PIRender, PIRenderConfig, warp_by_flow
from tests.parity.run import FAILED, OK
from tests.published_networks import (
    assert_two_are_twice_one,
    drawn_inputs,
    lively,
    parity_of,
    published_tensors,
    tensors_of,
    without_gradient,
)

SMALL = PIRenderConfig(native_px=64, descriptor=16, warp_channels=4, warp_max=16, edit_channels=4, edit_max=8)
SHAPES = {"coefficients": (73, 27)}


@pytest.fixture
def small(on_device):
    network = lively(PIRender(SMALL))
    return on_device((network, *drawn_inputs(network, SHAPES)))


def test_the_released_network_has_its_size():
    ours = tensors_of(PIRender)
    assert len(ours) == 304
    assert sum(torch.Size(shape).numel() for shape in ours.values()) == 22_519_109


def test_the_tensors_are_the_published_ones():
    assert tensors_of(PIRender) == published_tensors("pirender_net_G_ema", "generator")


def test_a_batch_of_two_is_two_calls(small):
    assert_two_are_twice_one(*small)


def test_everything_learns_but_the_dead_half_of_the_editing_blocks(small):
    network, source, signals = small
    dead = without_gradient(network, source, signals)
    blocks = {name.rsplit(".res", 1)[0] for name in dead}
    assert blocks == {f"generator.editing_net.decoder.res{i}" for i in range(3)}
    assert {name.split(".")[5] for name in dead} == {"conv1", "norm1"}
    assert len(dead) == 6 * 8


def test_the_image_is_in_0_to_1_and_the_panel_shows_the_warped_source(small):
    network, source, signals = small
    with torch.no_grad():
        made = network(source, signals)
    assert made.image.shape == made.panels["warped source"].shape == source.shape
    assert 0 <= made.image.min() < made.image.max() <= 1
    assert made.own.flow.shape == (2, 2, 16, 16)
    expected = warp_by_flow(source * 2 - 1, made.own.flow)
    torch.testing.assert_close(made.panels["warped source"] * 2 - 1, expected, rtol=0, atol=1e-6)


def test_a_flow_of_one_pixel_moves_by_its_own_pixel():
    ramp = torch.linspace(-1, 1, 64, dtype=torch.float64).expand(1, 3, 64, 64)  # 2 / 63 a pixel
    flow = torch.zeros(1, 2, 16, 16, dtype=torch.float64)
    still = warp_by_flow(ramp, flow)
    flow[:, 0] = 1
    moved = (warp_by_flow(ramp, flow) - still)[..., 8:-8, 8:-8]
    torch.testing.assert_close(moved, torch.full_like(moved, 2 / 15 * 64 / 63), rtol=0, atol=1e-9)
    middle = (still[..., 32, 48] - still[..., 32, 16]) / (ramp[..., 32, 48] - ramp[..., 32, 16])
    torch.testing.assert_close(middle, torch.full_like(middle, 16 / 15), rtol=0, atol=1e-9)  # zero flow shrinks


def test_wrong_signals_and_sizes_are_refused(small):
    network, source, _ = small
    with pytest.raises(ValueError, match=r"signal `coefficients`: expected shape \(2, 73, 27\), got \(2, 73, 26\)"):
        network(source, {"coefficients": torch.zeros(2, 73, 26)})
    with pytest.raises(ValueError, match="window 24"):
        PIRenderConfig(window=24)
    with pytest.raises(ValueError, match="native_px 100"):
        PIRenderConfig(native_px=100)


@pytest.mark.slow
def test_the_function_is_the_published_one_and_altered_numbers_are_seen(tmp_path):
    verdict, note = parity_of("pirender", tmp_path / "given", altered=False)
    assert verdict == OK, note
    verdict, note = parity_of("pirender", tmp_path / "altered", altered=True)
    assert verdict == FAILED
    for output in ("descriptor", "flow_field", "warp_image", "fake_image"):
        assert f"{output} " in note
        assert output == "descriptor" or f"{output}, statistics " in note
