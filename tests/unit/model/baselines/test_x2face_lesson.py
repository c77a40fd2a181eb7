"""How X2Face is taught: its terms by their definitions, its stages, and that each reaches both networks."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.losses import agree
from model.baselines.x2face.lesson import (
    X2FaceLesson,
    X2FaceLosses,
    X2FaceRates,
    identity_loss,
)
from model.baselines.x2face.network import X2Face, X2FaceConfig
from model.method.network import Batch
from model.training.loop import Players, train, train_step
from model.training.perceptual import Perceptual
from model.training.resume import CheckpointStore
from pipeline.adapters.x2face.teacher import TEACHER
from pipeline.params.tree import load_params
from tests.helpers import ROOT, random_head
from tests.toy_networks import CPU, Trunk, train_config

# What `trajectory()` returns; json.dump(trajectory(), ...) writes it anew, and CHANGELOG.md says why.
GOLDEN = ROOT / "tests" / "data" / "golden_x2face.json"
SIDE, STEPS = 16, 6
WEIGHTS = {"photometric": 10.0, "perceptual": 1.0, "identity": 2.0}
FIRST, SECOND = 0.25, 0.5  # progress in either stage


def lesson(second_stage: float = 0.5, rate: float = 1e-3, **changes: float) -> X2FaceLesson:
    torch.manual_seed(0)
    network = X2Face(X2FaceConfig(native_px=SIDE, levels=3, width=4, bottleneck=6))
    losses = X2FaceLosses(second_stage=second_stage, **(WEIGHTS | changes))
    return X2FaceLesson(network, Perceptual(Trunk(), 2, 2), losses, X2FaceRates(generator=rate, flow=rate / 4))


def batch(progress: float, seed: int = 1, count: int = 2) -> Batch:
    images = torch.rand(2, count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
    return Batch(images[0], images[1], {"driving": images[1]}, progress)


def trajectory(**changes: float) -> list[dict[str, float]]:
    """Losses of six steps, three of either stage; steps so small that no rounding grows in them."""
    players = Players.make(lesson(rate=1e-5, **changes), train_config(), CPU)
    return [train_step(players, batch(step / STEPS, step), train_config(), CPU) for step in range(STEPS)]


def test_the_identity_loss_knows_no_places_and_does_not_teach_the_source():
    perceptual = Perceptual(Trunk(), 2, 1).double()
    generator = torch.Generator().manual_seed(0)
    img, source = (torch.rand(2, 3, 8, 12, dtype=torch.float64, generator=generator) for _ in range(2))
    deepest = [perceptual.backbone.features(x)[1].detach().numpy() for x in (img, source)]
    described = [np.array([[channel.mean() for channel in maps] for maps in found]) for found in deepest]
    assert identity_loss(perceptual, img, source).item() == pytest.approx(np.abs(np.subtract(*described)).mean())
    img.requires_grad_(), source.requires_grad_()
    identity_loss(perceptual, img, source).backward()
    assert img.grad.any()
    assert source.grad is None


def test_terms_are_of_the_driving_frame_and_of_another_pairs_driver(placed):
    taught, pairs = placed(lesson()), placed(batch(SECOND, count=3))
    taught.network.eval()
    terms, perceptual = taught.losses(pairs).terms, taught.fixed["perceptual"]
    made = taught.network(pairs.source, pairs.signals).image
    assert terms["photometric"].item() == pytest.approx((made - pairs.target).abs().mean().item(), rel=1e-5)
    assert terms["perceptual"].item() == pytest.approx(
        perceptual(made, perceptual.target(pairs.target)).item(), rel=1e-5
    )
    other = {"driving": pairs.signals["driving"][[2, 0, 1]]}
    crossed = taught.network(pairs.source, other).image
    assert terms["identity"].item() == pytest.approx(identity_loss(perceptual, crossed, pairs.source).item(), rel=1e-4)


def test_the_stage_follows_from_the_progress_alone():
    taught = lesson()
    trunk = taught.fixed["perceptual"].backbone
    for progress, second in ((0.0, False), (0.49, False), (0.5, True), (0.99, True)):
        before = trunk.calls
        terms = taught.losses(batch(progress)).terms
        assert list(terms) == list(WEIGHTS)
        assert (trunk.calls > before) == second
        assert [bool(terms[name] > 0) for name in WEIGHTS] == [True, second, second]
    assert lesson(second_stage=1.0).losses(batch(0.999)).terms["identity"] == 0


@pytest.mark.parametrize("term", WEIGHTS)
def test_each_term_reaches_both_networks_and_nothing_that_is_frozen(term: str, placed):
    others = {name: 0.0 for name in WEIGHTS if name != term}
    taught = placed(lesson(**others))
    taught.losses(placed(batch(SECOND))).of["generator"].backward()
    for part in (taught.network.unwrapped, taught.network.sampler):
        assert [name for name, weight in part.named_parameters() if not _reached(weight.grad)] == []
    assert all(weight.grad is None for weight in taught.fixed.parameters())


def _reached(grad: Tensor | None) -> bool:
    return grad is not None and bool(grad.any())


def test_losses_are_the_golden_ones():
    assert agree(trajectory(), json.loads(GOLDEN.read_text()))


@pytest.mark.parametrize("term", WEIGHTS)
def test_without_a_term_it_trains_differently(term: str):
    changed, golden = trajectory(**{term: 0.0}), json.loads(GOLDEN.read_text())
    assert not agree(changed, golden)
    assert [row["generator"] for row in changed][:3] == pytest.approx(
        [(0.0 if term == "photometric" else row["generator"]) for row in golden[:3]], rel=1e-4
    )


def test_nobody_plays_against_it_and_flows_learn_at_their_own_rate(placed):
    taught = placed(lesson())
    groups = taught.players()
    assert list(groups) == ["generator"]
    assert [group.rate for group in groups["generator"]] == [1e-3, 2.5e-4]
    flows = taught.network.unwrapped.last.weight, taught.network.sampler.last.weight
    assert all(a is b for a, b in zip(groups["generator"][1].parameters, flows, strict=True))
    learned = [parameter for group in groups["generator"] for parameter in group.parameters]
    assert {id(p) for p in learned} == {id(p) for p in taught.network.parameters()}
    assert len(learned) == len(list(taught.network.parameters()))
    players = Players.make(taught, train_config(), placed.device)
    before = {name: weight.clone() for name, weight in taught.network.named_parameters()}
    train_step(players, placed(batch(FIRST)), train_config(), placed.device)
    assert [name for name, weight in taught.network.named_parameters() if torch.equal(weight, before[name])] == []


def test_in_bfloat16_losses_are_finite_and_positions_are_not_rounded(monkeypatch):
    taught, seen = lesson(), []
    sampled = torch.nn.functional.grid_sample

    def watched(img: Tensor, positions: Tensor, **settings: object) -> Tensor:
        seen.append((img.dtype, positions.dtype))
        return sampled(img, positions, **settings)

    monkeypatch.setattr(torch.nn.functional, "grid_sample", watched)
    config = train_config(precision="bfloat16")
    losses = train_step(Players.make(taught, config, CPU), batch(SECOND), config, CPU)
    assert all(np.isfinite(value) for value in losses.values())
    assert seen == [(torch.float32, torch.float32)] * 3


def test_a_run_that_was_stopped_between_the_stages_ends_with_the_same_weights(tmp_path: Path):
    def trained(name: str, stop_after: int | None = None) -> dict[str, Tensor]:
        taught, config = lesson(), train_config(iterations=STEPS, checkpoint_every=1)

        def on_step(step: int, _losses: dict[str, float]) -> None:
            if step == stop_after:
                raise KeyboardInterrupt

        train(taught, lambda step: batch(step / STEPS, step), config, CPU, CheckpointStore(tmp_path / name), on_step)
        return taught.network.state_dict()

    whole = trained("whole")
    with pytest.raises(KeyboardInterrupt):
        trained("parts", stop_after=4)
    resumed = trained("parts")
    assert [name for name, weight in whole.items() if not torch.equal(weight, resumed[name])] == []


def test_the_teacher_builds_the_recipes_size_and_starts_near_the_source():
    params = load_params(ROOT / "tests" / "data" / "small.yaml")
    recipe, section = params.recipes["toy64"], params.networks["toy64"].x2face
    torch.manual_seed(0)
    network = TEACHER.build(recipe, section, "", random_head())
    assert network.native_px == recipe.image_px
    images = torch.rand(2, 1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    flow = network.eval()(images[0], {"driving": images[1]}).own.drive_raw
    assert 0 < flow.abs().max() < 2 / 64
    sizes = section.generator.model_copy(update={"flow_gain": 1.0})
    torch.manual_seed(0)
    plain = TEACHER.build(recipe, section.model_copy(update={"generator": sizes}), "", random_head())
    for name, weight in plain.named_parameters():
        ends = weight is plain.unwrapped.last.weight or weight is plain.sampler.last.weight
        gain = section.generator.flow_gain if ends else 1.0
        torch.testing.assert_close(network.get_parameter(name), gain * weight)
    taught = TEACHER.lesson(network, section, Perceptual(Trunk(), 2, 2))
    rates = [group.rate for group in taught.players()["generator"]]
    assert rates == [section.learning_rate.generator, section.learning_rate.flow]
