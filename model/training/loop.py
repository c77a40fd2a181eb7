"""The training loop: two Adams, learning-rate drops, checkpoints that resume bit for bit.

Legend: I_o output, I_w warped source, I_d driving image (model/training/losses.py).
"""

import math
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from model.heads.fit import HeadFit
from model.pwm.animator import Animator
from model.training.config import LossConfig, TrainConfig
from model.training.discriminator import Discriminator
from model.training.losses import step_losses
from model.training.perceptual import Perceptual
from model.training.replicas import ALONE, Replicas
from model.training.resume import CheckpointStore


class Batch(Protocol):
    """B pairs of frames of one clip each: images (B, 3, H, W) in [0, 1] and their fits."""

    @property
    def source(self) -> Tensor:
        """The frames that are animated."""

    @property
    def driving(self) -> Tensor:
        """The frames that drive, which are the ground truth."""

    @property
    def fit_src(self) -> HeadFit:
        """Fits of the source frames."""

    @property
    def fit_drv(self) -> HeadFit:
        """Fits of the driving frames."""


Losses = dict[str, float]


class TrainingDiverged(RuntimeError):
    """A loss is not finite; the last checkpoint precedes it."""


@dataclass
class Players:
    """The two networks, their optimisers and the yardstick between them."""

    animator: Animator
    discriminator: Discriminator
    perceptual: Perceptual
    adam_generator: torch.optim.Adam
    adam_discriminator: torch.optim.Adam

    @classmethod
    def make(
        cls, animator: Animator, discriminator: Discriminator, perceptual: Perceptual, config: TrainConfig,
        device: torch.device,
    ) -> "Players":  # fmt: skip
        """Move the networks to the device and give each its optimiser."""
        layout = torch.channels_last if config.channels_last else torch.contiguous_format
        for network in (animator.to(device).generator, discriminator.to(device), perceptual.to(device)):
            network.to(memory_format=layout)
        groups = [{"params": list(animator.generator.parameters()), "lr": config.lr_generator}]
        if animator.guidance.codes is not None:
            groups.append({"params": [animator.guidance.codes], "lr": config.lr_codes})
        adams = [
            torch.optim.Adam(params, betas=config.betas, fused=True)
            for params in (groups, [{"params": list(discriminator.parameters()), "lr": config.lr_discriminator}])
        ]
        for adam in adams:
            for group in adam.param_groups:
                group["first_lr"] = group["lr"]
        return cls(animator, discriminator, perceptual, *adams)

    def set_rates(self, factor: float) -> None:
        """Set every learning rate to its first value times a factor."""
        for adam in (self.adam_generator, self.adam_discriminator):
            for group in adam.param_groups:
                group["lr"] = group["first_lr"] * factor

    def gradients(self) -> list[Tensor]:
        """Gradients of all that is trained, in a fixed order."""
        adams = (self.adam_generator, self.adam_discriminator)
        return cast(list[Tensor], [p.grad for adam in adams for p in _parameters(adam)])  # each has one after backward

    def statistics(self) -> list[Tensor]:
        """BatchNorm's running means and variances, all that depends on a share of the batch but gradients."""
        norms = [m for m in self.animator.modules() if isinstance(m, nn.BatchNorm2d)]
        return [norm.get_buffer(name) for norm in norms for name in ("running_mean", "running_var")]

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on, but the data."""
        return {
            "animator": self.animator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "adam_generator": self.adam_generator.state_dict(),
            "adam_discriminator": self.adam_discriminator.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a state of `state`."""
        self.animator.load_state_dict(state["animator"])
        self.discriminator.load_state_dict(state["discriminator"])
        self.adam_generator.load_state_dict(state["adam_generator"])
        self.adam_discriminator.load_state_dict(state["adam_discriminator"])


def fit(
    animator: Animator,
    discriminator: Discriminator,
    perceptual: Perceptual,
    batch_at: Callable[[int], Batch],
    losses: LossConfig,
    config: TrainConfig,
    device: torch.device,
    store: CheckpointStore,
    on_step: Callable[[int, Losses], None],
    team: Replicas = ALONE,
) -> list[Losses]:
    """Train in place, resuming from what `store` holds.

    The next step depends on the stored state and on `batch_at(step)` alone, so a run that was killed
    and resumed ends with the same weights as one that was not (on the CPU bit for bit). SIGINT and
    SIGTERM store the state after the step under way and then exit with status 1.

    Args:
        animator: trained in place, as is the discriminator.
        discriminator: its initial weights, like the animator's, come from the caller's seed.
        perceptual: frozen.
        batch_at: pairs of a step (0-based), the same whenever asked.
        losses: weights of the losses.
        config: length, rates, bookkeeping.
        device: where to train.
        store: where checkpoints go.
        on_step: called after each step with the number of steps done and its losses.
        team: processes that train these networks together, each on its share of the batch; the first one
            stores checkpoints.

    Returns:
        The training curve: a row every `log_every` steps and one for the last.

    Raises:
        TrainingDiverged: a loss is not finite; nothing was updated by it.
        SystemExit: asked to stop by a signal.

    Choice: both networks step on gradients from the same forward pass, which saves one pass of the
    discriminator over three groups of images; the paper does not say in which turn they step.
    """
    players = Players.make(animator, discriminator, perceptual, config, device)
    done, curve = 0, []
    if (stored := store.load()) is not None:
        players.restore(stored["players"])
        _set_rng(stored["rng"])
        done, curve = stored["step"], stored["curve"]

    def keep() -> None:
        if not team.leads:
            return
        store.save({"players": players.state(), "rng": _rng(), "step": done, "curve": curve})

    animator.train()
    discriminator.train()
    with _stop_signals(team) as asked:
        while done < config.iterations:
            players.set_rates(config.lr_factor(done))
            values = train_step(players, batch_at(done), losses, config, device, team)
            done += 1
            if done % config.log_every == 0 or done == config.iterations:
                curve.append({"step": done, **values})
            on_step(done, values)
            if asked.is_set():
                keep()
                raise SystemExit(f"training stopped after step {done} of {config.iterations}; run it again to resume")
            if done % config.checkpoint_every == 0 or done == config.iterations:
                keep()
    return curve


def train_step(
    players: Players, batch: Batch, losses: LossConfig, config: TrainConfig, device: torch.device,
    team: Replicas = ALONE,
) -> Losses:  # fmt: skip
    """Update both networks by one batch and return the losses as numbers.

    In a team the batch is this process's share: gradients, losses and BatchNorm's statistics are averaged, and
    the networks stay equal.

    Choice: each process normalises by the statistics of its own share (BatchNorm across processes needs CUDA).
    """
    layout = torch.channels_last if config.channels_last else torch.contiguous_format
    source = batch.source.to(device).contiguous(memory_format=layout)
    driving = batch.driving.to(device).contiguous(memory_format=layout)
    with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
        out = players.animator(source, batch.fit_src.to(device), batch.fit_drv.to(device))
        found = step_losses(out, driving, players.discriminator, players.perceptual, losses)
    players.adam_generator.zero_grad()
    players.adam_discriminator.zero_grad()
    found.generator.backward(inputs=_parameters(players.adam_generator), retain_graph=True)
    found.discriminator.backward(inputs=_parameters(players.adam_discriminator))
    named = {"generator": found.generator, "discriminator": found.discriminator, **found.terms}
    numbers = torch.stack([value.detach().float() for value in named.values()])
    team.average([numbers, *players.gradients(), *players.statistics()])
    values = dict(zip(named, numbers.tolist(), strict=True))
    bad = [name for name, value in values.items() if not math.isfinite(value)]
    if bad:
        raise TrainingDiverged(f"training diverged: {', '.join(bad)} not finite; lower the learning rates or weights")
    players.adam_generator.step()
    players.adam_discriminator.step()
    return values


def _parameters(adam: torch.optim.Adam) -> list[Tensor]:
    return [parameter for group in adam.param_groups for parameter in group["params"]]


def _rng() -> dict[str, Any]:
    return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []}


def _set_rng(state: dict[str, Any]) -> None:
    torch.set_rng_state(state["cpu"])
    if torch.cuda.is_available() and state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])


@contextmanager
def _stop_signals(team: Replicas) -> Iterator[threading.Event]:
    """Turn SIGINT and SIGTERM into an event while training (signals reach the main thread only).

    A terminal sends them to all processes of a team: the first one answers, the others go on until it ends them.
    """
    asked = threading.Event()
    if not team.leads or threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def ask(_number: int, _frame: FrameType | None) -> None:
        asked.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
