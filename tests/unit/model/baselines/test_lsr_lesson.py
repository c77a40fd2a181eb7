"""How LSR is taught: its terms by their definitions, its stages, and that each term reaches its parts."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from benchmarks.losses import agree
from model.baselines.lsr.discriminator import Critic, CriticConfig
from model.baselines.lsr.lesson import (
    TERMS,
    ImageStage,
    LayoutStage,
    LsrLesson,
    LsrRates,
    gradient_penalty,
    mean_square,
)
from model.baselines.lsr.network import Lsr, LsrConfig
from model.baselines.lsr.start import start_at_source
from model.method.network import Batch
from model.training.loop import Players, train, train_step
from model.training.perceptual import Perceptual
from model.training.resume import CheckpointStore
from tests.helpers import ROOT
from tests.toy_networks import Trunk, train_config

# {"losses": [...]} of `trajectory()`; json.dump(trajectory(), ...) writes it anew, and CHANGELOG.md says why.
GOLDEN = ROOT / "tests" / "data" / "golden_lsr.json"
SIDE, CLASSES, CPU = 16, 4, torch.device("cpu")
LAYOUT = {"share": 0.5, "segmentation": 10.0, "painted": 1.0, "layout_code": 1.0}
IMAGE = {
    "perceptual": 1.0, "pixel": 10.0, "adversarial": 1.0, "segmentation": 0.5, "layout_code": 1.0, "style_code": 1.0,
    "penalty_real": 200.0, "penalty_made": 300.0,
}  # fmt: skip
FIRST, SECOND = 0.25, 0.5  # progress in either stage
PARTS = ("encoder", "layout_encoder", "layout_generator", "generator")


def network(**changes: int) -> Lsr:
    sizes = {"native_px": SIDE, "start_px": 4, "style": 12, "classes": CLASSES, "channels": 6, "most": 6, "levels": 2,
             "spade_hidden": 4}  # fmt: skip
    return Lsr(LsrConfig(**(sizes | changes)))


def lesson(*off: str, scales: int = 2) -> LsrLesson:
    """With the weights of some terms at 0; one of the first stage is named `layout.TERM`."""
    torch.manual_seed(0)
    made = network()
    critic = Critic(CriticConfig(native_px=SIDE, scales=scales, levels=2, channels=4, most=6))
    layout = LayoutStage(**(LAYOUT | {k.removeprefix("layout."): 0.0 for k in off if k.startswith("layout.")}))
    image = ImageStage(**(IMAGE | {k: 0.0 for k in off if not k.startswith("layout.")}))
    rates = LsrRates(generator=1e-3, layout=1e-3, discriminator=2e-3)
    return LsrLesson(made, critic, Perceptual(Trunk(), 2, 2), layout, image, rates)


def batch(progress: float, seed: int = 1) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    source, target, before, after = torch.rand(4, 2, 3, SIDE, SIDE, generator=generator)
    labels = torch.randint(CLASSES, (2, 2, SIDE, SIDE), generator=generator, dtype=torch.uint8)
    signals = {"source_contour": before, "driving_contour": after}
    return Batch(source, target, signals, progress, (labels[0], labels[1]))


def reached(taught: LsrLesson, progress: float, player: str = "generator") -> set[str]:
    """Networks in which a player's loss moves something."""
    taught.losses(batch(progress)).of[player].backward()
    networks = dict(taught.network.network.named_children()) | {"discriminator": taught.rivals}
    gradients = {name: [p.grad for p in part.parameters() if p.grad is not None] for name, part in networks.items()}
    return {name for name, found in gradients.items() if any(gradient.any() for gradient in found)}


def trajectory(*off: str) -> list[dict[str, float]]:
    """Losses of six steps, three of either stage."""
    torch.manual_seed(0)
    players = Players.make(lesson(*off), train_config(), CPU)
    return [train_step(players, batch(step / 6, step), train_config(), CPU) for step in range(6)]


def test_the_terms_of_the_image_are_what_they_say():
    taught, pairs = lesson(), batch(SECOND)
    terms, made = taught.losses(pairs).terms, taught.network(pairs.source, pairs.signals)
    logits = made.own.logits.detach().double().numpy()
    shifted = np.exp(logits - logits.max(1, keepdims=True))
    shares = shifted / shifted.sum(1, keepdims=True)
    told = np.take_along_axis(shares, pairs.parts[1][:, None].long().numpy(), 1)
    assert terms["segmentation"].item() == pytest.approx(-np.log(told).mean(), rel=1e-5)
    assert terms["pixel"].item() == pytest.approx((made.image - pairs.target).abs().mean().item(), rel=1e-5)
    assert terms["style_code"].item() == pytest.approx((made.own.z_style**2).mean().item(), rel=1e-5)
    assert terms["layout_code"].item() == pytest.approx((made.own.z_layout**2).mean().item(), rel=1e-5)
    perceptual = taught.fixed["perceptual"]
    expected = perceptual(made.image, perceptual.target(pairs.target)).item()
    assert terms["perceptual"].item() == pytest.approx(expected, rel=1e-5)


def test_the_discriminators_terms_are_the_published_ones():
    taught, pairs = lesson(), batch(SECOND)
    found, made = taught.losses(pairs), taught.network(pairs.source, pairs.signals).own.image.detach()
    contour, critic = pairs.signals["driving_contour"] * 2 - 1, taught.rivals["discriminator"]
    said = {}
    for name, images, sign in (("real", pairs.target * 2 - 1, -1), ("made", made, 1)):
        losses, slopes = [], []
        for image, drawing in zip(images, contour, strict=True):  # one by one, as the paper's sums are
            seen = image[None].clone().requires_grad_()
            loss = sum(np.logaddexp(0, sign * logit) for logit in critic(seen, drawing[None])[0].tolist()) / 2
            F.softplus(sign * critic(seen, drawing[None])).mean().backward()
            losses.append(loss)
            slopes.append(float((seen.grad.double() ** 2).sum()))
        said[name], said[f"penalty_{name}"] = np.mean(losses), np.mean(slopes)
    for name, value in said.items():
        assert found.terms[name].item() == pytest.approx(value, rel=1e-4), name
    whole = said["real"] + said["made"] + 100 * said["penalty_real"] + 150 * said["penalty_made"]
    assert found.of["discriminator"].item() == pytest.approx(whole, rel=1e-4)
    logits = critic(made, contour).tolist()
    assert found.terms["adversarial"].item() == pytest.approx(np.logaddexp(0, -np.array(logits)).mean(), rel=1e-4)


def test_the_penalty_is_the_squared_slope_of_each_images_value():
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(3, 2, 5, 7, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.rand(2, 5, 7, generator=generator, dtype=torch.float64)
    found = gradient_penalty((weight * images**2).sum((1, 2, 3)), images)
    for image, penalty in zip(images.detach().numpy(), found.tolist(), strict=True):
        assert penalty == pytest.approx(((2 * weight.numpy() * image) ** 2).sum())


def test_a_codes_mean_square_has_no_batch_in_it():
    code = torch.tensor([[1.0, 3.0], [0.0, 2.0]])
    assert mean_square(code).item() == mean_square(code.repeat(3, 1)).item() == pytest.approx(3.5)


def test_stages_reach_the_networks_that_they_teach():
    assert reached(lesson(), FIRST) == {"layout_encoder", "layout_generator"}
    assert reached(lesson(), FIRST, "discriminator") == set()
    assert reached(lesson(), SECOND, "discriminator") >= {"discriminator"}
    assert set(PARTS) <= reached(lesson(), SECOND)


def test_the_stage_follows_from_the_progress_alone():
    taught = lesson()
    for progress, of_layout in ((0.0, True), (0.49, True), (0.5, False), (0.99, False)):
        terms = taught.losses(batch(progress)).terms
        assert tuple(terms) == TERMS
        assert (terms["painted"] > 0) == of_layout
        assert (terms["perceptual"] > 0) == (not of_layout)


@pytest.mark.parametrize(
    ("kept", "progress", "parts"),
    [
        ("layout.segmentation", FIRST, {"layout_encoder", "layout_generator"}),
        ("layout.painted", FIRST, {"layout_encoder", "layout_generator"}),
        ("layout.layout_code", FIRST, {"layout_encoder"}),
        ("segmentation", SECOND, {"layout_encoder", "layout_generator"}),
        ("layout_code", SECOND, {"layout_encoder"}),
        ("style_code", SECOND, {"encoder"}),
        ("pixel", SECOND, set(PARTS)),
        ("perceptual", SECOND, set(PARTS)),
    ],
)
def test_a_terms_gradient_reaches_its_parts_alone(kept: str, progress: float, parts: set[str]):
    off = [k for k in (*(f"layout.{k}" for k in LAYOUT if k != "share"), *IMAGE) if k != kept]
    assert reached(lesson(*off), progress) == parts


def test_the_adversarial_term_reaches_the_generators():
    off = [k for k in IMAGE if k != "adversarial"]
    assert set(PARTS) <= reached(lesson(*off), SECOND)


def test_losses_are_the_golden_ones_and_every_term_counts():
    golden = json.loads(GOLDEN.read_text())["losses"]
    assert agree(trajectory(), golden)
    for term in (*(f"layout.{k}" for k in LAYOUT if k != "share"), *IMAGE):
        assert not agree(trajectory(term), golden), term


def test_a_run_that_stopped_in_the_first_stage_ends_as_one_that_did_not(tmp_path: Path):
    class Stopped(Exception):
        pass

    def run(folder: Path, stop_at: int = 0) -> dict[str, torch.Tensor]:
        def watch(step: int, _losses: dict[str, float]) -> None:
            if step == stop_at:
                raise Stopped

        taught = lesson()
        train(taught, lambda step: batch(step / 6, step), train_config(), CPU, CheckpointStore(folder), watch)
        return taught.network.state_dict()

    whole = run(tmp_path / "whole")
    with pytest.raises(Stopped):
        run(tmp_path / "stopped", stop_at=3)
    resumed = run(tmp_path / "stopped")
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


@pytest.mark.parametrize("progress", [FIRST, SECOND])
def test_bfloat16_gives_finite_losses_near_those_of_float32(progress: float):
    wide = {k: v.item() for k, v in lesson().losses(batch(progress)).terms.items()}
    with torch.autocast("cpu", torch.bfloat16):
        found = lesson().losses(batch(progress))
    for player in found.of.values():
        assert torch.isfinite(player)
    assert {k: v.item() for k, v in found.terms.items()} == pytest.approx(wide, rel=0.1, abs=0.05)


def test_players_learn_at_their_own_rates_and_two_steps_move_every_part():
    taught = lesson()
    rates = {name: [group.rate for group in groups] for name, groups in taught.players().items()}
    assert rates == {"generator": [1e-3, 1e-3], "discriminator": [2e-3]}
    players = Players.make(taught, train_config(), CPU)
    moved = {**dict(taught.network.named_parameters()), **dict(taught.rivals.named_parameters())}
    before = {k: v.clone() for k, v in moved.items()}
    train_step(players, batch(FIRST), train_config(), CPU)
    waiting = ("network.encoder.", "network.generator.", "discriminator.")
    assert all(torch.equal(v, before[k]) == k.startswith(waiting) for k, v in moved.items())
    train_step(players, batch(SECOND), train_config(), CPU)
    assert [k for k, v in moved.items() if torch.equal(v, before[k])] == []


def test_pairs_without_labels_are_refused():
    pairs = batch(FIRST)
    with pytest.raises(ValueError, match="these pairs have none"):
        lesson().losses(Batch(pairs.source, pairs.target, pairs.signals))


def test_the_discriminator_sees_the_contour_and_scores_each_image_alone():
    critic = Critic(CriticConfig(native_px=SIDE, scales=3, levels=2, channels=4, most=6))
    pairs = batch(SECOND)
    contour = pairs.signals["driving_contour"]
    logits = critic(pairs.target, contour)
    assert logits.shape == (2, 3)
    torch.testing.assert_close(critic(pairs.target[1:], contour[1:]), logits[1:], rtol=1e-4, atol=1e-6)
    assert (critic(pairs.target, contour.flip(0)) - logits).abs().min() > 1e-6
    with pytest.raises(ValueError, match="halves images 5 times, and 16 px cannot be"):
        CriticConfig(native_px=SIDE, scales=2, levels=4, channels=4, most=6)


def test_the_published_discriminator_has_its_size():
    with torch.device("meta"):
        critic = Critic(CriticConfig(native_px=256, scales=1, levels=6, channels=32, most=512))
    shapes = [tuple(value.shape[:2]) for name, value in critic.state_dict().items() if name.endswith("weight")]
    assert shapes[0] == (32, 6)
    assert shapes[-3:] == [(512, 512), (512, 4 * 4 * 512), (1, 512)]
    assert len(shapes) == 1 + 3 * 6 + 3


def test_a_network_started_at_the_source_shows_it_blurred_and_learns_everywhere():
    torch.manual_seed(0)
    made = network(channels=8, most=8)
    picture = F.interpolate(torch.rand(2, 3, 4, 4), (SIDE, SIDE), mode="bilinear")
    signals = batch(FIRST).signals
    drawn = (made(picture, signals).image - picture).abs().mean()
    start_at_source(made)
    started = made(picture, signals).image
    blurred = F.interpolate(F.avg_pool2d(picture, 8), (4, 4), mode="bilinear")
    blurred = F.interpolate(blurred, (SIDE, SIDE), mode="bilinear")
    assert (started - blurred).abs().mean() < 0.1 < drawn
    (started - 1).square().mean().backward()
    still = [k for k, p in made.named_parameters() if p.grad is None or not p.grad.any()]
    assert [k for k in still if "output_conv" not in k] == []


def test_a_start_at_the_source_asks_for_one_width_and_room_in_the_code():
    with pytest.raises(ValueError, match="channels 6 is less than most 8"):
        start_at_source(network(most=8))
    with pytest.raises(ValueError, match="3 numbers for 4 places, not 11"):
        start_at_source(network(style=11))
