"""Bi-Layer's network: the published tensors, the published function, and what its predictions and enhancer do."""

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from model.baselines.bilayer.blocks import PredictedConv, PredictedNorm, _pooled
from model.baselines.bilayer.network import BiLayer, BiLayerConfig, View, error_gradient, over_black, sample
from tests.helpers import shared
from tests.parity.checks import CHECKS
from tests.parity.run import FAILED, run
from tests.published_networks import (
    assert_two_are_twice_one,
    drawn_inputs,
    published_tensors,
    tensors_of,
    without_gradient,
)

PARTS = (
    "identity_embedder", "texture_generator", "keypoints_embedder", "inference_generator", "texture_enhancer",
)  # fmt: skip
SMALL = BiLayerConfig(
    image_px=32, embedded_channels=(8, 16), inference_channels=(4, 8), pose_channels=8, enhancer_channels=(4, 8),
    enhancer_blocks=2, enhancer_steps=2,
)  # fmt: skip
SHAPES = {"source_landmarks": (68, 2), "driving_landmarks": (68, 2), "stickman": (3, 32, 32), "mask": (1, 32, 32)}


@cache
def state() -> dict[str, Tensor]:
    """Of a small network whose spectral norms have converged."""
    torch.manual_seed(0)
    network = BiLayer(SMALL).train()
    with torch.no_grad():
        for _ in range(6):
            network(*drawn_inputs(network, SHAPES))
    return network.state_dict()


def small(**changes: object) -> BiLayer:
    network = BiLayer(replace(SMALL, **changes))
    network.load_state_dict(state())
    return network.eval()


@pytest.fixture
def given(on_device):
    network = small()
    return on_device((network, *drawn_inputs(network, SHAPES)))


@cache
def released() -> BiLayer:
    with torch.device("meta"):
        return BiLayer()


def test_the_released_network_has_its_size():
    parts = [getattr(released(), part) for part in PARTS]
    assert [len(part.state_dict()) for part in parts] == [124, 466, 16, 318, 96]
    millions = [sum(p.numel() for p in part.parameters()) / 1e6 for part in parts]
    assert [round(count, 1) for count in millions] == [31.4, 55.7, 1.2, 11.8, 2.7]


def test_the_tensors_are_the_published_ones():
    published = [published_tensors(f"bilayer_{part}", part) for part in PARTS]
    assert tensors_of(released) == {key: shape for tensors in published for key, shape in tensors.items()}


def test_a_batch_of_two_is_two_calls(given):
    assert_two_are_twice_one(*given)


def test_everything_learns_but_what_nobody_reads(given):
    dead = without_gradient(*given)
    last = "identity_embedder.net.dec_blocks.2"  # only what its first half finds is an embedding
    assert dead == {f"{last}.{layer}.0.{name}" for layer in ("block", "skip") for name in ("bias", "weight_orig")}


@pytest.mark.parametrize("generator", ["texture_generator.gen_tex", "inference_generator.gen_inf"])
def test_predictions_are_handed_out_in_the_order_in_which_layers_stand(given, generator):
    network, source, signals = given
    takers = [m for m in network.get_submodule(generator).modules() if isinstance(m, PredictedConv | PredictedNorm)]
    ran = []
    for taker in takers:
        taker.register_forward_pre_hook(lambda module, _: ran.append(module))
    with torch.no_grad():
        network(source, signals)
    calls = 2 if "inf" in generator else 1  # poses
    assert ran == takers * calls
    projector = network.get_submodule(generator.replace("gen_", "prj_"))
    assert len(takers) == sum(len(heads) for heads in projector.fc_blocks)


def test_one_prediction_serves_every_pose(given):
    network, source, signals = given
    both = {**signals, "source_landmarks": signals["driving_landmarks"]}
    with torch.no_grad():
        own = network(source, both).own
    assert torch.equal(own.uv, own.source_uv)


def test_the_gradient_is_that_of_half_the_squared_error(given):
    generator = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> Tensor:
        return torch.rand(2, *shape, generator=generator, dtype=torch.float64) - 0.5

    texture, target = draw(3, 8, 8), draw(3, 8, 8)
    person = draw(1, 8, 8) + 0.5
    view = View(0.2 * draw(2, 8, 8), draw(3, 8, 8), person, person.logit())

    def error(values: Tensor) -> Tensor:
        return ((over_black(view.low + sample(values, view.shift), view.person) - target) ** 2).sum() / 2

    gradient = error_gradient(texture, view, target)
    for at in ((0, 0, 0, 0), (0, 2, 4, 3), (1, 1, 7, 5)):
        step = torch.zeros_like(texture)
        step[at] = 1e-4
        assert (error(texture + step) - error(texture - step)) / 2e-4 == pytest.approx(float(gradient[at]), abs=1e-8)
    assert not gradient.requires_grad


def test_the_enhancer_brings_the_rendered_source_nearer_when_its_net_follows_the_gradient(given):
    network, source, signals = given
    enhancer = network.texture_enhancer
    enhancer.net.forward = lambda inputs: -0.3 * inputs[:, 3:]  # type: ignore[method-assign]
    enhancer.steps = 20
    with torch.no_grad():
        own = network(source, signals).own
        poses = network.keypoints_embedder(signals["source_landmarks"])
        view = network.inference_generator(poses, network.inference_generator.prj_inf(own.embeddings))
        target = over_black(2 * source - 1, view.person)
        errors = [
            (over_black(view.low + sample(texture, view.shift), view.person) - target).square().mean()
            for texture in (own.texture, own.enhanced_texture)
        ]
    assert errors[1] < 0.5 * errors[0]


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_enhances_whatever_mode_the_caller_is_in(given, on_device, mode: Callable):
    network, source, signals = given
    expected = network(source, signals).image.detach()
    with mode():
        inside = network(*on_device(drawn_inputs(network, SHAPES)))  # inputs that are made inside, too
    assert torch.equal(inside.image, expected)
    assert (inside.own.enhanced_texture - inside.own.texture).abs().max() > 1e-3


def test_no_step_leaves_the_texture(given):
    _, source, signals = given
    with torch.no_grad():
        own = small(enhancer_steps=0).to(source.device)(source, signals).own
    assert torch.equal(own.enhanced_texture, own.texture)
    assert torch.equal(own.enhanced, own.plain)


def test_the_background_lies_where_the_network_sees_no_person(given):
    network, source, signals = given
    with torch.no_grad():
        black, white = network(source, signals), small(background=1.0).to(source.device)(source, signals)
    person = black.panels["person"]
    torch.testing.assert_close(white.image - black.image, (1 - person).expand_as(source), rtol=0, atol=1e-6)
    composited = (over_black(black.own.enhanced, person) + 1) / 2
    torch.testing.assert_close(black.image, composited, rtol=0, atol=1e-6)
    assert all(panel.min() >= 0 and panel.max() <= 1 for panel in black.panels.values())


@pytest.mark.parametrize("name", SHAPES)
def test_every_signal_counts(given, name):
    network, source, signals = given
    with torch.no_grad():
        before, after = network(source, signals), network(source, {**signals, name: 0.5 * signals[name]})
    assert (before.image - after.image).abs().max() > 1e-4


def test_what_the_mask_hides_does_not_count(given):
    network, source, signals = given
    hidden = {**signals, "mask": torch.zeros_like(signals["mask"])}
    with torch.no_grad():
        embeddings = [network(img, hidden).own.embeddings for img in (source, 1 - source)]
    assert all(torch.equal(*pair) for pair in zip(*embeddings, strict=True))


def test_the_stored_grid_is_where_no_shift_samples():
    grid = small().inference_generator.identity_grid.permute(0, 3, 1, 2)
    ramp = grid.double() @ torch.eye(32, dtype=torch.float64)
    assert torch.allclose(sample(ramp, torch.zeros_like(ramp)), ramp, atol=1e-12)


def test_wrong_signals_and_sizes_are_refused(given):
    network, source, signals = given
    with pytest.raises(ValueError, match=r"signal `mask`: expected shape \(2, 1, 32, 32\), got \(2, 3, 32, 32\)"):
        network(source, {**signals, "mask": source})
    with pytest.raises(ValueError, match=r"no signal `stickman`"):
        network(source, {name: value for name, value in signals.items() if name != "stickman"})
    with pytest.raises(ValueError, match="image_px 100"):
        BiLayerConfig(image_px=100)
    with pytest.raises(ValueError, match="background 255"):
        BiLayerConfig(background=255)


@pytest.mark.slow
def test_the_function_is_the_published_one_and_altered_numbers_are_seen(tmp_path):
    """One run, because it takes a minute: what was altered is named, and nothing else is."""
    golden = tmp_path / "golden"
    (golden / "seed1").mkdir(parents=True)
    shutil.copyfile(shared("golden/fill.py"), golden / "fill.py")
    (tmp_path / "manifests").symlink_to(shared("manifests"))
    with np.load(shared("golden/seed1/bilayer.npz")) as stored:
        arrays = dict(stored)
    arrays["uv_sub"][0, 1, 3, 4] += 30 * arrays["uv_tolerance"]
    arrays["enhanced_image_stats"][0, 2, 0] += 30 * arrays["enhanced_image_tolerance"]
    arrays["input_stickman_u8"][0, 0, 0] += 1
    np.savez(golden / "seed1" / "bilayer.npz", **arrays)
    (line,) = run(golden, {"bilayer": CHECKS["bilayer"]})
    assert line.verdict == FAILED
    named = set(re.findall(r"(.+?) \S+ > [^,]+(?:, |$)", line.note))
    assert named == {
        "stickman", "uv", "uv in float64", "enhanced_image, statistics", "enhanced_image in float64, statistics",
    }  # fmt: skip


@pytest.mark.parametrize("side", [4, 8, 12, 16, 32])
def test_embeddings_are_pooled_to_any_side(placed, side):
    """Smaller, larger by a whole number and by another: torch's pooling, values and gradients."""
    embedding = placed(torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)).requires_grad_())
    weights = placed(torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1)))
    made = [_pooled(embedding, side), torch.nn.functional.adaptive_avg_pool2d(embedding, side)]
    torch.testing.assert_close(*made, rtol=0, atol=placed.atol)
    gradients = [torch.autograd.grad((one * weights).sum(), embedding)[0] for one in made]
    torch.testing.assert_close(*gradients, rtol=0, atol=20 * placed.atol)
