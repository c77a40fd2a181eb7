"""HeadGAN's network, with and without audio: the published tensors and function, and what every network here does."""

import pytest
import torch
from torch.nn import functional as F

from model.baselines.headgan.network import HeadGan, HeadGanConfig, warp_px
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

SIZES = {"native_px": 32, "bottom_px": 8, "channels": 2, "hidden": 4}
SHAPES = {"driving_nmfc": (9, 32, 32), "source_nmfc": (3, 32, 32), "audio": (5,)}


def small(audio: int):
    network = HeadGan(HeadGanConfig(**SIZES, audio=audio))
    source, signals = drawn_inputs(network, SHAPES)
    lively(network).train()
    with torch.no_grad():
        for _ in range(3):  # as in training, each step brings the spectral norms' vectors nearer to what they estimate
            network(source, signals)
    return network.eval(), source, signals


@pytest.mark.parametrize(("audio", "tensors", "parameters"), [(0, 196, 45_908_134), (300, 232, 51_750_502)])
def test_the_released_networks_have_their_size(audio, tensors, parameters):
    ours = tensors_of(lambda: HeadGan(HeadGanConfig(audio=audio)))
    assert len(ours) == tensors
    estimates = ("weight_u", "weight_v")  # of the spectral norms; no parameters
    assert sum(torch.Size(s).numel() for name, s in ours.items() if not name.endswith(estimates)) == parameters


@pytest.mark.parametrize(("audio", "manifest"), [(0, "headgan_net_G_noaudio"), (300, "headgan_net_G")])
def test_the_tensors_are_the_published_ones(audio, manifest):
    assert tensors_of(lambda: HeadGan(HeadGanConfig(audio=audio))) == published_tensors(manifest, "generator")


@pytest.mark.parametrize("audio", [0, 5])
def test_a_batch_of_two_is_two_calls(audio, on_device):
    assert_two_are_twice_one(*on_device(small(audio)))


@pytest.mark.parametrize("audio", [0, 5])
def test_everything_learns(audio, placed):
    assert without_gradient(*placed(small(audio))) == set()


def test_only_the_network_that_hears_needs_and_uses_sound(placed):
    deaf, source, signals = placed(small(0))
    hears, *_ = placed(small(5))
    louder = {**signals, "audio": signals["audio"] + 1}
    silent = {name: value for name, value in signals.items() if name != "audio"}
    with torch.no_grad():
        assert torch.equal(deaf(source, silent).image, deaf(source, louder).image)
        assert (hears(source, signals).image - hears(source, louder).image).abs().max() > 1e-3
    with pytest.raises(ValueError, match="no signal `audio`"):
        hears(source, silent)


def test_the_image_is_in_0_to_1_and_the_panels_show_the_warp_and_its_mask(placed):
    network, source, signals = placed(small(0))
    with torch.no_grad():
        made = network(source, signals)
    assert 0 <= made.image.min() < made.image.max() <= 1
    assert made.panels.keys() == {"warped source", "mask"}
    torch.testing.assert_close(made.panels["warped source"], warp_px(source, made.own.flow), rtol=0, atol=1e-5)
    assert 0 <= made.panels["mask"].min() < made.panels["mask"].max() <= 1


def test_the_flow_is_in_pixels_and_the_rim_is_repeated(on_device):
    img = on_device(torch.rand(1, 2, 6, 9, dtype=torch.float64))
    flow = on_device(torch.zeros(1, 2, 6, 9, dtype=torch.float64))
    flow[:, 0], flow[:, 1] = 2, -1
    expected = F.pad(img, (0, 2, 1, 0), mode="replicate")[:, :, :6, 2:]
    torch.testing.assert_close(warp_px(img, flow), expected, rtol=0, atol=on_device.atol)


def test_wrong_signals_and_sizes_are_refused():
    network, source, signals = small(0)
    with pytest.raises(ValueError, match=r"signal `driving_nmfc`: expected shape \(2, 9, 32, 32\), got \(2, 3,"):
        network(source, {**signals, "driving_nmfc": signals["source_nmfc"]})
    for bottom_px in (0, 24, 512):
        with pytest.raises(ValueError, match=f"bottom_px {bottom_px}"):
            HeadGanConfig(bottom_px=bottom_px)


@pytest.mark.slow
def test_the_function_is_the_published_one_and_altered_numbers_are_seen(tmp_path):
    verdict, note = parity_of("headgan", tmp_path / "given", altered=False)
    assert verdict == OK, note
    verdict, note = parity_of("headgan", tmp_path / "altered", altered=True)
    assert verdict == FAILED
    for output in ("flow", "warped", "fake_image"):
        assert f"{output} " in note
        assert f"{output}, statistics " in note
