"""Training resumes bit for bit, stops cleanly, and its files refuse what they do not belong to."""

import dataclasses
import os
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from model.heads.head import HeadModel
from model.pwm.files import load_animator, save_animator
from model.training.adversarial import step_losses
from model.training.loop import Players, TrainingDiverged, train, train_step
from model.training.resume import CheckpointStore
from pipeline.params.recipe import split_row
from tests.helpers import random_head
from tests.toy_networks import (
    CPU,
    LOSSES,
    RATES,
    SIZE,
    batch_at,
    lesson,
    networks,
    state_of,
    train_config,
)


def ignore(_step: int, _losses: dict[str, float]) -> None:
    pass


def test_resumed_run_equals_uninterrupted_run_bit_for_bit(tmp_path: Path):
    whole = lesson()
    curve = train(whole, batch_at, train_config(), CPU, CheckpointStore(tmp_path / "a"), ignore)

    class Killed(Exception):
        pass

    def kill(step: int, _losses: dict[str, float]) -> None:
        if step == 5:
            raise Killed

    store = CheckpointStore(tmp_path / "b")
    with pytest.raises(Killed):
        train(lesson(), batch_at, train_config(), CPU, store, kill)
    assert store.load()["step"] == 4
    torch.manual_seed(99)  # what a new process draws before it resumes must not matter
    resumed = lesson()
    steps: list[int] = []
    again = train(resumed, batch_at, train_config(), CPU, store, lambda step, _: steps.append(step))
    assert steps == [5, 6]
    assert again == curve
    assert [row["step"] for row in curve] == [2, 4, 6]
    wanted, got = state_of(whole), state_of(resumed)
    assert wanted.keys() == got.keys()
    assert all(torch.equal(wanted[k], got[k]) for k in wanted)


def test_finished_run_trains_no_more(tmp_path: Path):
    store = CheckpointStore(tmp_path)
    first = lesson()
    train(first, batch_at, train_config(iterations=2), CPU, store, ignore)
    second = lesson()
    train(second, lambda _step: pytest.fail("asked for data"), train_config(iterations=2), CPU, store, ignore)
    assert torch.equal(first.network.guidance.codes, second.network.guidance.codes)


def test_signal_stores_the_state_and_exits_with_status_1(tmp_path: Path):
    store = CheckpointStore(tmp_path)
    before = signal.getsignal(signal.SIGTERM)

    def ask(step: int, _losses: dict[str, float]) -> None:
        if step == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(SystemExit, match="after step 3 of 6"):
        train(lesson(), batch_at, train_config(checkpoint_every=100), CPU, store, ask)
    assert store.load()["step"] == 3
    assert signal.getsignal(signal.SIGTERM) is before


def test_loss_that_is_not_finite_stops_before_any_update(tmp_path: Path):
    made, store = lesson(), CheckpointStore(tmp_path)
    before = {k: v.clone() for k, v in made.network.named_parameters()}
    broken = batch_at(0)
    broken.target[0, 0, 0, 0] = float("nan")
    with pytest.raises(TrainingDiverged, match="perceptual"):
        train(made, lambda _: broken, train_config(), CPU, store, ignore)
    assert all(torch.equal(v, before[k]) for k, v in made.network.named_parameters())


def test_one_step_moves_every_part_of_both_networks(placed):
    taught = placed(lesson())
    players = Players.make(taught, train_config(), placed.device)
    moved = {**dict(taught.network.named_parameters()), **{f"d.{k}": v for k, v in taught.rivals.named_parameters()}}
    before = {k: v.clone() for k, v in moved.items()}
    train_step(players, placed(batch_at(0)), train_config(), placed.device)
    still = [k for k, v in moved.items() if torch.equal(v, before[k])]
    assert [k for k in still if not k.endswith("logits.bias")] == []  # inside the hinge its gradients cancel


@pytest.mark.parametrize("changes", [{"precision": "bfloat16"}, {"channels_last": True}])
def test_other_arithmetic_gives_the_same_losses(changes: dict[str, object], placed):
    losses = []
    for config in (train_config(), train_config(**changes)):
        players = Players.make(placed(lesson()), config, placed.device)
        losses.append(train_step(players, placed(batch_at(0)), config, placed.device))
    assert losses[1] == pytest.approx(losses[0], rel=0.05, abs=0.02)


def test_each_player_follows_its_own_loss(placed):
    taught = placed(lesson())
    players = Players.make(taught, train_config(), placed.device)
    taught.network.eval(), taught.rivals.eval()
    batch = placed(batch_at(0))
    train_step(players, batch, train_config(), placed.device)
    animator, discriminator, perceptual = placed(networks())
    animator.eval(), discriminator.eval()
    out = animator(batch.source, batch.signals).own
    step_losses(out.image, out.warped, batch.target, discriminator, perceptual, LOSSES).of["discriminator"].backward()
    for mine, alone in zip(taught.rivals.parameters(), discriminator.parameters(), strict=True):
        assert torch.allclose(mine.grad, alone.grad, atol=placed.atol)


def test_rates_drop_and_the_codes_have_their_own():
    config = train_config(iterations=5)
    assert [config.lr_factor(s) for s in range(5)] == pytest.approx([1, 1, 0.1, 0.1, 0.01])
    players = Players.make(lesson(), config, CPU)
    players.set_rates(config.lr_factor(3))
    rates = [group["lr"] for adam in players.adams.values() for group in adam.param_groups]
    assert rates == pytest.approx([1e-4, 1e-3, 5e-5])
    assert players.adams["generator"].param_groups[1]["params"] == [players.lesson.network.guidance.codes]


def test_overfitting_one_pair_reproduces_it(tmp_path: Path, placed):
    smooth = torch.nn.functional.interpolate(placed(torch.rand(2, 3, 2, 3)), size=SIZE, mode="bilinear")
    batch = dataclasses.replace(placed(batch_at(0)), source=smooth, target=smooth.flip(-1))
    losses = dataclasses.replace(LOSSES, perceptual=0.0, adversarial=0.0, feature_matching=0.0)
    config = train_config(iterations=40, lr_drop_steps=(), log_every=1)
    taught = placed(lesson(rates=dataclasses.replace(RATES, generator=1e-2), losses=losses))
    curve = train(taught, lambda _: batch, config, placed.device, CheckpointStore(tmp_path), ignore)
    copied = (batch.source - batch.target).abs().mean().item()
    assert curve[-1]["pixel"] < 0.5 * min(copied, curve[0]["pixel"])


def test_trained_model_comes_back_as_it_was(tmp_path: Path):
    animator, *_ = networks()
    batch = batch_at(0)
    animator(batch.source, batch.signals)  # moves BatchNorm's statistics
    save_animator(tmp_path, animator, 7, {"row": "toy"})
    loaded = load_animator(tmp_path, animator.head)
    assert not loaded.training
    assert loaded.config == animator.config
    with torch.no_grad():
        wanted = animator.eval()(batch.source, batch.signals).image
        assert torch.equal(loaded(batch.source, batch.signals).image, wanted)
    first = (tmp_path / "config.json").read_bytes(), (tmp_path / "weights.safetensors").read_bytes()
    save_animator(tmp_path, loaded, 7, {"row": "toy"})
    assert first == ((tmp_path / "config.json").read_bytes(), (tmp_path / "weights.safetensors").read_bytes())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.json", "weights.safetensors"]


def test_model_refuses_another_head(tmp_path: Path):
    animator, *_ = networks()
    save_animator(tmp_path, animator, 0, {})
    other = HeadModel(dataclasses.replace(random_head(seed=1), name="other_head"))
    with pytest.raises(ValueError, match=r"'bumpy_sphere' \(.*'other_head' \("):
        load_animator(tmp_path, other)
    with pytest.raises(ValueError, match="was trained with head"):  # the same name is not enough
        load_animator(tmp_path, HeadModel(random_head(seed=1)))


def test_missing_and_foreign_weights_are_explained(tmp_path: Path):
    animator, *_ = networks()
    with pytest.raises(FileNotFoundError, match="no trained model"):
        load_animator(tmp_path, animator.head)
    save_animator(tmp_path, animator, 0, {})
    weights = load_file(tmp_path / "weights.safetensors")
    weights.pop("guidance.codes")
    save_file(weights, tmp_path / "weights.safetensors")
    with pytest.raises(ValueError, match="does not fit its config.json"):
        load_animator(tmp_path, animator.head)


@pytest.mark.parametrize("row", ["toy64.puppet", "toy64.puppet.geom_disp.x", "toy64..nmfc"])
def test_malformed_rows_are_refused(row: str):
    with pytest.raises(ValueError, match="recipe.head.guidance"):
        split_row(row)


def test_row_with_unknown_guidance_lists_the_names():
    assert split_row("toy64.puppet.geom_disp+neural_codes") == ("toy64", "puppet", "geom_disp+neural_codes")
    with pytest.raises(ValueError, match="'foo'.*geom_disp, neural_codes, nmfc"):
        split_row("toy64.puppet.foo")
