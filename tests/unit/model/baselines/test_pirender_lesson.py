"""How PIRender is taught: its stages, its terms by their definitions, and that each reaches its part."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.losses import agree
from model.baselines.pirender.lesson import PIRenderLesson, PIRenderLosses, PIRenderRates
from model.baselines.pirender.network import PIRender, PIRenderConfig
from model.baselines.pirender.start import start_as_copy
from model.baselines.pirender.style import gram, style_distance
from model.method.network import Batch
from model.training.loop import Players, train, train_step
from model.training.perceptual import Perceptual
from model.training.resume import CheckpointStore
from tests.helpers import ROOT
from tests.toy_networks import CPU, Trunk, train_config

GOLDEN = ROOT / "tests" / "data" / "golden_pirender.json"
SIDE, CODES, STEPS = 32, 9, 6
WEIGHTS = {"perceptual": 1.0, "perceptual_warped": 2.5, "style": 50.0, "pixel": 3.0}
STAGES = {"warp": 0.2, "image": 0.5}
RATES = PIRenderRates(generator=1e-3, last=2e-4)
DEAD = ("conv1", "norm1")  # of the published blocks, which nothing reads


def network() -> PIRender:
    torch.manual_seed(0)
    sizes = {"descriptor": 8, "warp_channels": 4, "warp_max": 8, "warp_down": 3, "warp_up": 2, "edit_channels": 8}
    return PIRender(PIRenderConfig(native_px=SIDE, coefficients=CODES, edit_max=16, edit_levels=2, **sizes))


def lesson(rates: PIRenderRates = RATES, **changes: float) -> PIRenderLesson:
    weights = PIRenderLosses(**(WEIGHTS | changes), warp_share=0.5)
    return PIRenderLesson(network(), Perceptual(Trunk(), 2, 2), weights, rates)


def batch(stage: str, seed: int = 1) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    source, target = torch.rand(2, 2, 3, SIDE, SIDE, generator=generator)
    driving, own = torch.randn(2, 2, CODES, 27, generator=generator)
    return Batch(source, target, {"coefficients": driving, "source_coefficients": own}, STAGES[stage])


def reached(taught: PIRenderLesson, pairs: Batch) -> dict[str, bool]:
    """Which of the three networks the gradient of the loss gets to."""
    taught.losses(pairs).of["generator"].backward()
    return {
        name: any(p.grad is not None and bool(p.grad.any()) for p in part.parameters())
        for name, part in taught.network.generator.named_children()
    }


def test_the_first_stage_teaches_the_warp_alone_and_makes_no_image(placed):
    taught = placed(lesson())
    found = taught.losses(placed(batch("warp"))).terms
    assert [name for name, value in found.items() if value == 0] == ["perceptual", "style", "pixel"]
    assert reached(placed(lesson()), placed(batch("warp"))) == {
        "mapping_net": True, "warpping_net": True, "editing_net": False,
    }  # fmt: skip
    assert set(reached(placed(lesson()), placed(batch("image"))).values()) == {True}


@pytest.mark.parametrize("progress", [0.0, 0.499, 0.5, 0.99])
def test_the_stage_follows_from_the_share_of_the_training_alone(progress: float, placed):
    terms = placed(lesson()).losses(placed(replace(batch("warp"), progress=progress))).terms
    assert bool(terms["perceptual"] > 0) == (progress >= 0.5)


@pytest.mark.parametrize("stage", STAGES)
def test_terms_are_those_of_both_directions_in_the_images_range(stage: str, placed):
    taught, pairs = placed(lesson()), placed(batch(stage))
    signals = {"coefficients": torch.cat([pairs.signals["coefficients"], pairs.signals["source_coefficients"]])}
    made = taught.network(torch.cat([pairs.source, pairs.target]), signals)
    target = torch.cat([pairs.target, pairs.source])
    shown = {"_warped": made.panels["warped source"]} | ({"": made.image} if stage == "image" else {})
    found, perceptual = taught.losses(pairs), taught.fixed["perceptual"]
    terms, wanted = found.terms, perceptual.target(target)
    for suffix, image in shown.items():
        assert terms["pixel" + suffix].item() == pytest.approx((image - target).abs().mean().item(), rel=1e-5)
        (distance,) = perceptual(image, wanted)
        assert terms["perceptual" + suffix].item() == pytest.approx(distance.item(), rel=1e-5)
    if stage == "image":
        style = style_distance(perceptual.pyramid(made.image)[0], wanted[0])
        assert terms["style"].item() == pytest.approx(style.item(), rel=1e-4)
    weights = {**WEIGHTS, "pixel_warped": WEIGHTS["pixel"]}
    total = sum(weights[name] * value.item() for name, value in terms.items())
    assert found.of["generator"].item() == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("term", WEIGHTS)
def test_each_weight_counts(term: str, placed):
    pairs = placed(batch("image"))
    whole, without = (placed(made).losses(pairs).of["generator"].item() for made in (lesson(), lesson(**{term: 0.0})))
    assert abs(whole - without) > 1e-3


@pytest.mark.parametrize(
    ("term", "edited"), [("perceptual", True), ("style", True), ("perceptual_warped", False)],
)  # fmt: skip
def test_each_term_reaches_its_part(term: str, edited: bool, placed):
    alone = placed(lesson(**(dict.fromkeys(WEIGHTS, 0.0) | {term: 1.0})))
    found = reached(alone, placed(batch("image")))
    assert found == {"mapping_net": True, "warpping_net": True, "editing_net": edited}
    assert all(p.grad is None for p in alone.fixed.parameters())


def trajectory(**changes: float) -> list[dict[str, float]]:
    """Losses of six steps, three of either stage; steps so small that no rounding grows in them."""
    slow = PIRenderRates(generator=1e-5, last=1e-6)
    players = Players.make(lesson(slow, **changes), train_config(), CPU)
    pairs = [replace(batch("warp", step), progress=step / STEPS) for step in range(STEPS)]
    return [train_step(players, of_step, train_config(), CPU) for of_step in pairs]


def test_losses_are_the_golden_ones():
    assert agree(trajectory(), json.loads(GOLDEN.read_text()))


@pytest.mark.parametrize("term", WEIGHTS)
def test_without_a_term_it_trains_differently(term: str):
    assert not agree(trajectory(**{term: 0.0}), json.loads(GOLDEN.read_text()))


def test_a_training_that_was_stopped_in_either_stage_ends_as_one_that_was_not(tmp_path):
    config = train_config(iterations=STEPS, checkpoint_every=1)

    def ends(store: CheckpointStore, stop: int | None = None) -> dict[str, torch.Tensor]:
        taught = lesson()

        def stopping(step: int, _losses: dict[str, float]) -> None:
            if step == stop:
                raise InterruptedError

        def batch_at(step: int) -> Batch:
            return replace(batch("warp", step), progress=step / STEPS)

        try:
            train(taught, batch_at, config, CPU, store, stopping)
        except InterruptedError:
            return ends(store)
        return taught.network.state_dict()

    whole = ends(CheckpointStore(tmp_path / "whole"))
    for stop in (2, 4, 5):
        resumed = ends(CheckpointStore(tmp_path / str(stop)), stop)
        assert [name for name, value in whole.items() if not torch.equal(value, resumed[name])] == []


def test_gram_and_style_are_the_published_sums():
    """Against loops in float64; maps are not square, and of two sizes."""
    rng = np.random.default_rng(0)
    made, wanted = ([rng.normal(size=(2, c, h, w)) for c, h, w in ((3, 4, 5), (5, 2, 3))] for _ in range(2))

    def products(maps: np.ndarray) -> np.ndarray:
        count, channels, height, width = maps.shape
        found = np.zeros((count, channels, channels))
        for b, i, j in np.ndindex(*found.shape):
            found[b, i, j] = sum(maps[b, i, y, x] * maps[b, j, y, x] for y in range(height) for x in range(width))
        return found / (channels * height * width)

    expected = sum(np.abs(products(m) - products(w)).mean() for m, w in zip(made, wanted, strict=True))
    tensors = [[torch.from_numpy(maps) for maps in side] for side in (made, wanted)]
    np.testing.assert_allclose(gram(tensors[0][0]).numpy(), products(made[0]), rtol=1e-12)
    assert style_distance(*tensors).item() == pytest.approx(expected, rel=1e-12)


def test_style_knows_no_place():
    maps = torch.rand(2, 4, 6, 8)
    moved = maps.roll((2, 3), (2, 3))
    assert style_distance([moved], [maps]).item() == pytest.approx(0, abs=1e-7)
    assert style_distance([maps.flip(1)], [maps]) > 1e-4


def test_a_step_of_the_second_stage_moves_every_part_that_is_read(placed):
    taught = placed(lesson())
    players = Players.make(taught, train_config(), placed.device)
    before = {name: value.clone() for name, value in taught.network.named_parameters()}
    train_step(players, placed(batch("image")), train_config(), placed.device)
    still = [name for name, value in taught.network.named_parameters() if torch.equal(value, before[name])]
    assert [name for name in still if not set(DEAD) & set(name.split("."))] == []


def test_the_editing_networks_first_step_is_as_long_as_any_first_step(placed):
    """Adam's first step is as long as the rate, whenever it comes."""
    taught, config = placed(lesson()), train_config()
    players = Players.make(taught, config, placed.device)
    bias = taught.network.generator.editing_net.decoder["final"].model[0].bias
    for _ in range(5):
        train_step(players, placed(batch("warp")), config, placed.device)
    before = bias.detach().clone()
    train_step(players, placed(batch("image")), config, placed.device)
    torch.testing.assert_close((bias - before).abs(), torch.full_like(bias, RATES.last), rtol=1e-3, atol=0)


def test_in_bfloat16_losses_are_finite_and_positions_are_float32():
    taught = lesson()
    with torch.autocast("cpu", torch.bfloat16):
        found = taught.losses(batch("image"))
        flow = taught.network.generator.warp(batch("image").source, batch("image").signals["coefficients"])
    assert flow.flow.dtype == torch.bfloat16
    assert flow.warped.dtype == torch.float32
    assert all(value.dtype == torch.float32 and math.isfinite(value) for value in found.terms.values())


def test_a_copy_to_begin_with():
    """The image is the warped source to a twentieth of the range, whatever the codes, and still has a gradient."""
    made = network()
    start_as_copy(made)
    taught = PIRenderLesson(made, Perceptual(Trunk(), 2, 2), PIRenderLosses(**WEIGHTS, warp_share=0.5), RATES)
    pairs = batch("image")
    coarse = torch.nn.functional.interpolate(pairs.source[..., ::8, ::8], (SIDE, SIDE), mode="bilinear")
    shown = made(coarse, pairs.signals)
    assert (shown.image - shown.panels["warped source"]).abs().mean() < 0.05
    assert (coarse - coarse.flip(-1)).abs().mean() > 0.1
    assert set(reached(taught, pairs).values()) == {True}


def test_a_copy_needs_room():
    narrow = PIRender(PIRenderConfig(native_px=SIDE, coefficients=CODES, edit_channels=4))
    with pytest.raises(ValueError, match="edit_channels 4: an image is carried by 8 channels"):
        start_as_copy(narrow)
