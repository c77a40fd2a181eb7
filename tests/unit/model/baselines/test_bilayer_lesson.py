"""How Bi-Layer is taught: its terms by their definitions, whom each reaches, its stages, and where it starts."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.losses import RATE_SHARE, Trajectory, agree
from model.baselines.bilayer.discriminator import Rival, RivalConfig
from model.baselines.bilayer.lesson import TERMS, BiLayerLesson, BiLayerLosses, BiLayerRates
from model.baselines.bilayer.losses import maker_hinge, rival_hinge
from model.baselines.bilayer.network import BiLayer, BiLayerConfig
from model.baselines.bilayer.start import start_quietly
from model.method.network import Batch
from model.training.loop import Players, train, train_step
from model.training.perceptual import Perceptual
from model.training.resume import CheckpointStore
from tests.helpers import ROOT
from tests.toy_networks import CPU, Trunk, train_config

# Losses of `trajectory()`; json.dump writes it anew, and CHANGELOG.md says why.
GOLDEN = ROOT / "tests" / "data" / "golden_bilayer.json"
SIDE = 32
SIZES = BiLayerConfig(
    image_px=SIDE, embedded_channels=(8, 16), inference_channels=(4, 8), pose_channels=8, enhancer_channels=(8, 8),
    enhancer_blocks=1, enhancer_steps=1, background=None,
)  # fmt: skip
WEIGHTS = {
    "perceptual": 1.0, "adversarial": 0.5, "feature_matching": 2.0, "low": 10.0, "pixel": 10.0, "segmentation": 1.0,
    "warping": 3.0,
}  # fmt: skip
NONE = dict.fromkeys(WEIGHTS, 0.0)
GENERATORS = "identity_embedder", "texture_generator", "keypoints_embedder", "inference_generator"
ENHANCER = "texture_enhancer"


def lesson(
    background: float | None = None, enhancer_from: float | None = None, share: float = 1.0, **weights: float
) -> BiLayerLesson:
    """With other weights of losses; `share` is a factor on the rates."""
    torch.manual_seed(0)
    network = BiLayer(replace(SIZES, background=background))
    rival = Rival(RivalConfig(width=4, max_width=8, halvings=2, blocks=3))
    losses = BiLayerLosses(perceptual_scales=2, warping_until=0.5, enhancer_from=enhancer_from, **(WEIGHTS | weights))
    rates = BiLayerRates(generator=1e-3 * share, discriminator=2e-3 * share)
    return BiLayerLesson(network, rival, Perceptual(Trunk(), 2, 2), losses, rates)


def batch(seed: int = 1, progress: float = 0.0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    source, target, one, other = torch.rand(4, 2, 3, SIDE, SIDE, generator=generator)
    poses = torch.rand(2, 2, 68, 2, generator=generator) - 0.5
    signals = {
        "source_landmarks": poses[0], "driving_landmarks": poses[1], "stickman": one, "driving_stickman": other,
        "mask": torch.ones(2, 1, SIDE, SIDE),
    }  # fmt: skip
    parts = torch.randint(0, 4, (2, 2, SIDE, SIDE), generator=generator, dtype=torch.uint8)
    return Batch(source, target, signals, progress, (parts[0], parts[1]))


def trajectory(**weights: float) -> Trajectory:
    """Losses of six steps in both stages, at rates at which the processor's last digits stay the last."""
    taught = lesson(0.0, 0.5, RATE_SHARE, **weights)
    players = Players.make(taught, train_config(), CPU)
    taught.network.train()
    return [train_step(players, batch(step, step / 6), train_config(), CPU) for step in range(6)]


def settled(taught: BiLayerLesson, pairs: Batch) -> BiLayerLesson:
    """Its network as it is used: spectral norms know their weights, and norms what they have seen."""
    with torch.no_grad():
        for _ in range(6):
            taught.network(pairs.source, pairs.signals)
    taught.network.eval()
    return taught


def reached(taught: BiLayerLesson, pairs: Batch) -> set[str]:
    """Parts of the network to which the generator's loss has a gradient."""
    taught.losses(pairs).of["generator"].backward()
    return {
        name
        for name, part in taught.network.named_children()
        if any(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters())
    }


def test_hinges_are_relative_to_the_other_sides_mean():
    rng = np.random.default_rng(0)
    real, made = rng.normal(size=(3, 1, 2, 5)), rng.normal(size=(3, 1, 2, 5))

    def relative(better: np.ndarray, worse: np.ndarray) -> float:
        losses = [max(0.0, 1 - (b - worse.sum() / worse.size)) / better.size for b in better.flat]
        return sum(losses) + sum(max(0.0, 1 + (w - better.sum() / better.size)) / worse.size for w in worse.flat)

    scores = torch.from_numpy(real).requires_grad_(), torch.from_numpy(made).requires_grad_()
    assert rival_hinge(*scores).item() == pytest.approx(relative(real, made), rel=1e-12)
    made_better = maker_hinge(*scores)
    assert made_better.item() == pytest.approx(relative(made, real), rel=1e-12)
    made_better.backward()
    assert scores[0].grad is None
    assert scores[1].grad is not None


@pytest.mark.parametrize("background", [None, 0.0])
def test_terms_are_what_they_say(background, placed):
    pairs = placed(batch())
    taught = settled(placed(lesson(background)), pairs)
    own, terms = taught.network(pairs.source, pairs.signals).own, taught.losses(pairs).terms
    assert tuple(terms) == TERMS
    share = torch.ones_like(own.person) if background is None else own.person

    def apart(img: torch.Tensor) -> float:
        return (((img + 1) / 2 - pairs.target) * share).abs().mean().item()

    assert terms["low"].item() == pytest.approx(apart(own.low), rel=1e-5)
    assert terms["pixel"].item() == pytest.approx(apart(own.enhanced), rel=1e-5)
    true, person = (pairs.parts[1] > 0)[:, None].double(), own.person.double()
    entropy = -(true * person.log() + (1 - true) * (1 - person).log()).mean().item()
    assert terms["segmentation"].item() == pytest.approx(entropy, rel=1e-5)
    moved = own.uv - taught.network.inference_generator.identity_grid.permute(0, 3, 1, 2)
    assert terms["warping"].item() == pytest.approx(moved.abs().mean().item(), rel=1e-4)


@pytest.mark.parametrize("term", TERMS)
def test_each_weight_counts(term: str, placed):
    whole, without = (
        made.losses(placed(batch())).of["generator"].item()
        for made in (placed(lesson()), placed(lesson(**{term: 0.0})))
    )
    assert abs(whole - without) > 1e-3


def test_losses_are_the_golden_ones_and_without_any_term_they_are_not():
    golden = json.loads(GOLDEN.read_text())["losses"]
    assert agree(trajectory(), golden)
    assert not any(agree(trajectory(**{term: 0.0}), golden) for term in TERMS)


@pytest.mark.parametrize("background", [None, 0.0])
@pytest.mark.parametrize(
    ("term", "parts"),
    [
        ("perceptual", {*GENERATORS, ENHANCER}),
        ("adversarial", {*GENERATORS, ENHANCER}),
        ("feature_matching", {*GENERATORS, ENHANCER}),
        ("pixel", {*GENERATORS, ENHANCER}),
        ("low", {"identity_embedder", "keypoints_embedder", "inference_generator"}),
        ("segmentation", {"identity_embedder", "keypoints_embedder", "inference_generator"}),
        ("warping", {"identity_embedder", "keypoints_embedder", "inference_generator"}),
    ],
)
def test_each_term_reaches_its_parts(term, parts, background, placed):
    taught = placed(lesson(background, **(NONE | {term: 1.0})))
    assert reached(taught, placed(batch())) == parts
    heads = [head[0].weight_orig.grad for head in taught.network.inference_generator.gen_inf.heads]
    taught_heads = [grad is not None and bool(grad.abs().sum() > 0) for grad in heads]  # shift, low layer, person
    wanted = {
        "low": [False, True, False], "segmentation": [False, False, True], "warping": [True, False, False],
        "perceptual": [True, False, False],
    }  # fmt: skip
    assert taught_heads == wanted.get(term, [True, True, False])
    assert all(p.grad is None for p in taught.fixed.parameters())


def test_the_shift_is_held_less_and_less(placed):
    taught = settled(placed(lesson(**(NONE | {"warping": 3.0}))), placed(batch()))
    at = {share: taught.losses(placed(batch(progress=share))) for share in (0.0, 0.25, 0.5, 0.9)}
    factors = [found.of["generator"].item() / found.terms["warping"].item() for found in at.values()]
    assert factors == pytest.approx([3.0, 1.5, 0.0, 0.0])


def test_the_enhancer_learns_alone_in_its_stage(placed):
    before, after = (placed(batch(progress=progress)) for progress in (0.59, 0.6))
    taught = placed(lesson(enhancer_from=0.6))
    assert reached(taught, before) == set(GENERATORS)
    taught = placed(lesson(enhancer_from=0.6))
    assert reached(taught, after) == {ENHANCER}
    settled(taught, before)
    own = taught.network(before.source, before.signals).own
    for pairs, img in ((before, own.plain), (after, own.enhanced)):
        found = taught.losses(pairs).terms["pixel"].item()
        assert found == pytest.approx(((img + 1) / 2 - pairs.target).abs().mean().item(), rel=1e-5)


def test_a_batch_without_part_labels_is_refused():
    with pytest.raises(ValueError, match="no part labels"):
        lesson().losses(replace(batch(), parts=None))


@pytest.mark.parametrize("enhancer_from", [None, 0.0])
def test_players_learn_at_their_own_rates_and_one_step_moves_their_parts(enhancer_from, placed):
    taught = placed(lesson(enhancer_from=enhancer_from))
    rates = {name: [group.rate for group in groups] for name, groups in taught.players().items()}
    assert rates == {"generator": [1e-3], "discriminator": [2e-3]}
    players = Players.make(taught, train_config(), placed.device)
    moved = {**dict(taught.network.named_parameters()), **{f"d.{k}": v for k, v in taught.rivals.named_parameters()}}
    before = {k: v.clone() for k, v in moved.items()}
    train_step(players, placed(batch()), train_config(), placed.device)
    still = {k for k, v in moved.items() if torch.equal(v, before[k])}
    unread = {k for k in moved if k.startswith("identity_embedder.net.dec_blocks.2.") and "block_feats" not in k}
    frozen = set() if enhancer_from is None else {k for k in moved if k.startswith(GENERATORS)}
    free = {k for k in moved if k.endswith("last.bias")}  # relative scores know no level
    assert still - free == unread | frozen


def test_bfloat16_gives_finite_losses_and_samples_in_float32(placed):
    taught, pairs = placed(lesson()), placed(batch())
    with torch.autocast(placed.device.type, torch.bfloat16):
        own = taught.network(pairs.source, pairs.signals).own
        found = taught.losses(pairs)
    assert own.shift.dtype == own.uv.dtype == placed.dtype
    assert all(value.isfinite() for value in (*found.of.values(), *found.terms.values()))
    found.of["generator"].backward()
    assert all(p.grad.isfinite().all() for p in taught.network.parameters() if p.grad is not None)


@pytest.mark.parametrize("enhancer_from", [None, 0.5])
def test_a_resumed_run_ends_with_the_same_bits(enhancer_from, tmp_path: Path):
    class Killed(Exception):
        pass

    def kill(step: int, _losses: dict) -> None:
        if step == 3:
            raise Killed

    config = replace(train_config(), iterations=4, checkpoint_every=2)

    def run(folder: str, on_step) -> BiLayerLesson:
        taught = lesson(enhancer_from=enhancer_from)
        train(taught, lambda step: batch(step, step / 4), config, CPU, CheckpointStore(tmp_path / folder), on_step)
        return taught

    whole = run("whole", lambda *_: None)
    with pytest.raises(Killed):
        run("killed", kill)
    resumed = run("killed", lambda *_: None)
    for one, other in zip(whole.network.parameters(), resumed.network.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_quiet_start_shows_the_source_and_everything_can_learn():
    taught = lesson()
    pairs = batch()
    grain = torch.rand(2, 3, 5, 5, generator=torch.Generator().manual_seed(2))
    source = torch.nn.functional.interpolate(grain, (SIDE, SIDE), mode="bicubic").clamp(0, 1)
    before = taught.network(source, pairs.signals).image
    start_quietly(taught.network, 0.01)
    after = taught.network(source, pairs.signals).image
    gaps = [(made - source).abs().mean().item() for made in (before, after)]
    assert gaps[1] < min(0.06, gaps[0] / 3)
    players = Players.make(taught, train_config(), CPU)
    for step in range(2):
        train_step(players, batch(step), train_config(), CPU)
    dead = {n for n, p in taught.network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0}
    unread = "identity_embedder.net.dec_blocks.2."
    assert {n for n in dead if not n.startswith(unread)} == set()


def test_a_quiet_start_asks_for_channels_that_carry_a_gradient():
    with pytest.raises(ValueError, match="6 and 8 channels, but needs 7"):
        start_quietly(BiLayer(replace(SIZES, enhancer_channels=(6, 8))), 0.1)


def test_a_rival_cannot_halve_more_often_than_it_has_blocks():
    with pytest.raises(ValueError, match="2 blocks cannot halve the size 3 times"):
        RivalConfig(width=4, max_width=8, halvings=3, blocks=2)
