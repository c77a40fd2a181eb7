"""Collapses are told from slow learning."""

import pytest
import torch
from torch import nn

from model.method.network import Batch, Made
from model.training.loop import train
from model.training.resume import CheckpointStore
from pipeline.training.collapse import (
    STATIC_LOOKS,
    WON_STEPS,
    DiscriminatorWatch,
    MotionWatch,
    TrainingCollapsed,
    image_begins,
)
from tests.toy_networks import CPU, batch_at, lesson, train_config


class Follower(nn.Module):
    """Shows the source, brighter by a share of what drives it."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, source, signals):
        return Made(source * 0.5 + self.share * signals["turn"][:, :, None, None])


def pairs(turns: list[float]) -> Batch:
    source = torch.rand(len(turns), 3, 4, 6)
    return Batch(source, source, {"turn": torch.tensor(turns)[:, None]})


def look(watch, steps) -> None:
    for step in steps:
        watch.look(step)


def test_images_that_no_driver_changes_are_a_collapse():
    network = Follower(0.1)
    watch = MotionWatch(network, pairs([0.0, 0.5, 1.0]), 1000)
    look(watch, range(10, 200, 10))
    network.share = 1e-5
    look(watch, range(200, 200 + 10 * (STATIC_LOOKS - 1), 10))
    with pytest.raises(TrainingCollapsed, match=r"levels when somebody else drives them; they last did at step 190"):
        watch.look(300)


def test_a_still_moment_is_none_and_a_still_start_may_last_a_tenth_of_the_run():
    network = Follower(0.0)
    watch = MotionWatch(network, pairs([0.0, 1.0]), 1000)
    look(watch, range(0, 101, 10))
    for _ in range(3):
        look(watch, range(110, 110 + STATIC_LOOKS - 1))
        network.share = 0.5
        watch.look(150)
        network.share = 0.0
    never = MotionWatch(network, pairs([0.0, 1.0]), 1000)
    look(never, range(0, 101, 10))
    look(never, range(101, 100 + STATIC_LOOKS))
    with pytest.raises(TrainingCollapsed, match="they never did"):
        never.look(200)


def test_stages_that_teach_no_image_are_not_judged():
    class Layouts:
        image_from = 0.4

    assert image_begins(Layouts(), 1000) == 400
    assert image_begins(lesson("geom_disp"), 1000) == 0
    network = Follower(0.1)
    motion, rival = MotionWatch(network, pairs([0.0, 1.0]), 1000, 400), DiscriminatorWatch(1000, 400)
    motion.look(10)
    network.share = 0.0
    for step in range(10, 401, 10):
        motion.look(step)
        rival.look(step, {"discriminator": 0.0})
    look(motion, range(410, 501, 10))  # a still start is allowed for from there on
    for step in range(401, 401 + WON_STEPS):
        rival.look(step, {"discriminator": 0.0})
    with pytest.raises(TrainingCollapsed, match="since step 401, "):
        rival.look(401 + WON_STEPS, {"discriminator": 0.0})
    with pytest.raises(TrainingCollapsed, match="they never did"):
        look(motion, range(510, 540, 10))


def test_nothing_is_said_of_equal_drivers():
    watch = MotionWatch(Follower(0.0), pairs([0.3, 0.3]), 10)
    look(watch, range(100))


def test_a_discriminator_that_has_won_for_long_is_a_collapse():
    watch = DiscriminatorWatch(10 * WON_STEPS)
    for step in range(WON_STEPS):
        watch.look(step, {"discriminator": 0.0})
    watch.look(WON_STEPS, {"discriminator": 0.5})  # its rival has caught up
    for step in range(WON_STEPS + 1, 2 * WON_STEPS + 1):
        watch.look(step, {"discriminator": 1e-4})
    with pytest.raises(TrainingCollapsed, match=f"below 0.001 since step {WON_STEPS + 1}, "):
        watch.look(2 * WON_STEPS + 1, {"discriminator": 1e-4})


def test_a_long_run_is_given_a_fiftieth_of_its_steps():
    watch = DiscriminatorWatch(100_000)
    watch.look(1, {"discriminator": 0.0})
    watch.look(2000, {"discriminator": 0.0})  # of a run that tells some losses only
    with pytest.raises(TrainingCollapsed):
        watch.look(2001, {"discriminator": 0.0})


def test_a_run_that_learns_is_left_alone(tmp_path):
    """With the smallest networks, looked at after every step."""
    made, config = lesson("geom_disp"), train_config(iterations=40, checkpoint_every=40, log_every=40)
    motion, rival = MotionWatch(made.network, batch_at(99), 40), DiscriminatorWatch(40)
    seen = []

    def after(step: int, losses: dict[str, float]) -> None:
        motion.look(step)
        rival.look(step, losses)
        seen.append(motion._moved)

    train(made, batch_at, config, CPU, CheckpointStore(tmp_path), after)
    assert seen == list(range(1, 41))
