"""What training does on a GPU alone: losses that wait there, updates that the device itself lets pass, its memory."""

from pathlib import Path

import pytest
import torch

from model.method.lesson import StepLosses
from model.training import loop
from model.training.loop import LOOK_EVERY, Players, TrainingDiverged, look_every, train
from model.training.resume import CheckpointStore
from tests.devices import GPU, single_precision
from tests.toy_networks import CPU, batch_at, lesson, state_of, train_config

pytestmark = list(GPU)

CUDA = torch.device("cuda")
TOO_MANY_BYTES = 1 << 44  # no GPU has 16 TiB


def ignore(_step: int, _losses: dict[str, float]) -> None:
    pass


def weights_of(made) -> dict[str, torch.Tensor]:
    return {key: value.detach().clone() for key, value in made.network.named_parameters()}


def test_losses_are_fetched_late_and_told_in_order_and_are_the_cpus(tmp_path: Path):
    """The first step is the same on both; a rounding reaches Adam's signs in the second."""
    iterations = LOOK_EVERY + 3
    config, told, asked = train_config(iterations=iterations, log_every=1, checkpoint_every=100), [], []

    def drawn(step: int):
        asked.append(step)
        return batch_at(step)

    def tell(step: int, losses: dict[str, float]) -> None:
        told.append((step, len(asked), losses["generator"]))

    with single_precision():
        curve = train(lesson(), drawn, config, CUDA, CheckpointStore(tmp_path / "cuda"), tell)
        first = train(lesson(), batch_at, train_config(iterations=1), CPU, CheckpointStore(tmp_path / "cpu"), ignore)
    assert look_every(CUDA) == LOOK_EVERY
    assert [step for step, _, _ in told] == list(range(1, iterations + 1))
    assert [drawn for _, drawn, _ in told] == [LOOK_EVERY] * LOOK_EVERY + [iterations] * 3
    assert [row["generator"] for row in curve] == [value for _, _, value in told]
    assert curve[0] == pytest.approx(first[0], rel=1e-4, abs=1e-5)


def test_after_a_loss_that_is_not_finite_the_device_lets_every_update_pass(tmp_path: Path):
    """Weights, Adam's moments and its count of steps stay, though the loss is looked at only steps later."""
    made, seen = lesson(), {}

    def broken_at_3(step: int):
        batch = batch_at(step)
        if step == 3:
            seen.update(weights_of(made))
            batch.target[0, 0, 0, 0] = float("nan")
        return batch

    with pytest.raises(TrainingDiverged, match="perceptual"):
        train(made, broken_at_3, train_config(checkpoint_every=6), CUDA, CheckpointStore(tmp_path), ignore)
    assert all(torch.equal(value, seen[key]) for key, value in weights_of(made).items())
    assert CheckpointStore(tmp_path).load() is None


def test_a_step_that_does_not_fit_says_batch_and_memory():
    made = lesson()
    players, plain = Players.make(made, train_config(), CUDA), made.losses

    def greedy(batch) -> StepLosses:
        torch.empty(TOO_MANY_BYTES, dtype=torch.uint8, device=CUDA)
        return plain(batch)

    made.losses = greedy
    with pytest.raises(
        RuntimeError, match=r"^out of GPU memory: a step of 2 pairs \(batch_size 2, 1 processes\) needs"
    ):
        loop.train_step(players, batch_at(0), train_config(), CUDA)


def test_in_bfloat16_weights_moments_and_losses_are_float32_and_near_those_of_float32(tmp_path: Path):
    found = {}
    for precision in ("float32", "bfloat16"):
        made, config = lesson(), train_config(precision=precision, log_every=1)
        store = CheckpointStore(tmp_path / precision)
        found[precision] = train(made, batch_at, config, CUDA, store, ignore)
        floats = {value.dtype for value in state_of(made).values() if value.is_floating_point()}
        moments = {
            value.dtype
            for adam in store.load()["players"]["adams"].values()
            for moment in adam["state"].values()
            for value in moment.values()
        }
        assert floats == moments == {torch.float32}
    for narrow, wide in zip(found["bfloat16"], found["float32"], strict=True):
        assert narrow == pytest.approx(wide, rel=0.1, abs=0.05)


def test_a_run_that_was_stopped_goes_on_from_its_state(tmp_path: Path):
    """Equally well, not bit for bit: the gradient of sampling is a sum in no fixed order there."""
    config = train_config(checkpoint_every=2, log_every=1)
    whole = train(lesson(), batch_at, config, CUDA, CheckpointStore(tmp_path / "whole"), ignore)
    store = CheckpointStore(tmp_path / "parts")
    train(lesson(), batch_at, train_config(iterations=4, log_every=1), CUDA, store, ignore)
    torch.manual_seed(99)
    steps: list[int] = []
    again = train(lesson(), batch_at, config, CUDA, store, lambda step, _: steps.append(step))
    assert steps == [5, 6]
    for found, wanted in zip(again, whole, strict=True):
        assert found == pytest.approx(wanted, rel=0.02, abs=0.02)
