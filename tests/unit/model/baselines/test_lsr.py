"""LSR's network: the published function, and what every network here does; its names are tested in test_lsr_names."""

import numpy as np
import pytest
import torch

from model.baselines.lsr.network import Lsr, LsrConfig, blur_pool
from tests.parity.run import FAILED, OK
from tests.published_networks import (
    assert_two_are_twice_one,
    drawn_inputs,
    lively,
    parity_of,
    tensors_of,
    without_gradient,
)

SMALL = LsrConfig(native_px=28, style=6, classes=5, channels=4, most=8, levels=2, spade_hidden=4)
SHAPES = {"source_contour": (3, 28, 28), "driving_contour": (3, 28, 28)}


@pytest.fixture
def small(on_device):
    network = lively(Lsr(SMALL), scales_itself=True)
    return on_device((network, *drawn_inputs(network, SHAPES)))


def test_the_released_network_has_its_size():
    ours = tensors_of(Lsr)
    assert len(ours) == 264
    assert round(sum(torch.Size(shape).numel() for shape in ours.values()) / 1e6, 1) == 79.1


def test_a_batch_of_two_is_two_calls(small):
    assert_two_are_twice_one(*small)


def test_everything_learns_but_the_image_of_the_first_step(small):
    network, source, signals = small
    assert without_gradient(network, source, signals) == set()
    grad = network.network.layout_generator.output_conv.weight.grad
    assert grad[:5].abs().amax((1, 2, 3)).min() > 0
    assert grad[5:].abs().max() == 0  # `aux`, at which only training looks


def test_the_layout_comes_from_the_driver_and_the_styles_from_the_source(small):
    network, source, signals = small
    with torch.no_grad():
        made = network(source, signals)
        driven = network(source, {**signals, "driving_contour": signals["driving_contour"].flip(-1)})
        styled = network(source.flip(0), signals)
    assert torch.equal(made.own.z_style, driven.own.z_style)
    assert torch.equal(made.own.z_layout, driven.own.z_layout)
    assert (made.own.logits - driven.own.logits).abs().max() > 1e-3
    assert (made.own.z_style - styled.own.z_style).abs().max() > 1e-3
    assert (made.own.logits - styled.own.logits).abs().max() > 1e-3
    classes = made.own.logits.argmax(1)
    assert torch.equal((made.panels["layout"] * 4).round().long(), classes[:, None].expand(-1, 3, -1, -1))
    torch.testing.assert_close(made.image * 2 - 1, made.own.image, rtol=0, atol=1e-5)


def test_the_blur_starts_at_the_first_pixel_and_pads_behind_the_last():
    row = np.array([1.0, 2, 4, 8, 16, 32])
    padded = np.append(row, 0)
    expected = np.outer(*[[(padded[i] + 2 * padded[i + 1] + padded[i + 2]) / 4 for i in (0, 2, 4)]] * 2)
    found = blur_pool(torch.from_numpy(np.outer(row, row))[None, None])
    np.testing.assert_allclose(found[0, 0].numpy(), expected, rtol=0, atol=1e-12)


def test_wrong_signals_and_sizes_are_refused(small):
    network, source, signals = small
    with pytest.raises(ValueError, match=r"signal `driving_contour`: expected shape \(2, 3, 28, 28\)"):
        network(source, {**signals, "driving_contour": torch.zeros(2, 1, 28, 28)})
    with pytest.raises(ValueError, match="source: expected images of 28 px"):
        network(torch.zeros(2, 3, 56, 56), signals)
    with pytest.raises(ValueError, match="native_px 256 is not 7 doubled 5 times"):
        LsrConfig(native_px=256)


@pytest.mark.slow
def test_the_function_is_the_published_one_and_altered_numbers_are_seen(tmp_path):
    verdict, note = parity_of("lsr", tmp_path / "given", altered=False)
    assert verdict == OK, note
    verdict, note = parity_of("lsr", tmp_path / "altered", altered=True)
    assert verdict == FAILED
    for output in ("z_style", "z_layout", "segmentation_logits", "aux_rgb", "image"):
        assert f"{output} " in note
        assert output.startswith("z_") or f"{output}, statistics " in note
