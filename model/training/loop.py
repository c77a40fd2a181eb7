"""The training loop: an Adam a player, learning-rate drops, checkpoints that resume bit for bit.

It knows no method: what is taught, and by which losses, is a `model.method.lesson.Lesson`.
"""

import math
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, cast

import torch
from torch import Tensor, nn

from model.method.lesson import Lesson, StepLosses
from model.method.network import Batch
from model.training.averaging import AVERAGE, WeightAverage
from model.training.config import TrainConfig
from model.training.replicas import ALONE, Replicas
from model.training.resume import CheckpointStore

Losses = dict[str, float]


class TrainingDiverged(RuntimeError):
    """A loss is not finite; the last checkpoint precedes it."""


@dataclass
class Players:
    """A lesson and the optimiser of each of its players."""

    lesson: Lesson
    adams: dict[str, torch.optim.Adam]

    @classmethod
    def make(cls, lesson: Lesson, config: TrainConfig, device: torch.device) -> "Players":
        """Move the networks to the device and give each player its optimiser."""
        for networks in (lesson.network, lesson.rivals, lesson.fixed):
            networks.to(device).to(memory_format=config.layout)
        adams = {}
        for player, groups in lesson.players().items():
            params = [{"params": group.parameters, "lr": group.rate, "first_lr": group.rate} for group in groups]
            adams[player] = torch.optim.Adam(params, betas=config.betas, fused=True)
        return cls(lesson, adams)

    def set_rates(self, factor: float) -> None:
        """Set every learning rate to its first value times a factor."""
        for adam in self.adams.values():
            for group in adam.param_groups:
                group["lr"] = group["first_lr"] * factor

    def gradients(self) -> list[Tensor]:
        """Gradients of all that is trained, in a fixed order."""
        return cast(list[Tensor], [p.grad for p in self.parameters()])  # each has one after backward

    def parameters(self) -> list[Tensor]:
        """All that is trained, in a fixed order."""
        return [parameter for adam in self.adams.values() for parameter in _parameters(adam)]

    def statistics(self) -> list[Tensor]:
        """BatchNorm's running means and variances, all that depends on a share of the batch but gradients."""
        modules = [*self.lesson.network.modules(), *self.lesson.rivals.modules()]
        norms = [m for m in modules if isinstance(m, nn.BatchNorm2d)]
        return [norm.get_buffer(name) for norm in norms for name in ("running_mean", "running_var")]

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on, but the data."""
        return {
            "network": self.lesson.network.state_dict(),
            "rivals": self.lesson.rivals.state_dict(),
            "adams": {player: adam.state_dict() for player, adam in self.adams.items()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a state of `state`."""
        self.lesson.network.load_state_dict(state["network"])
        self.lesson.rivals.load_state_dict(state["rivals"])
        for player, adam in self.adams.items():
            adam.load_state_dict(state["adams"][player])


def train(
    lesson: Lesson,
    batch_at: Callable[[int], Batch],
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
        lesson: its network and rivals are trained in place; their initial weights come from the caller's seed. With
            `config.ema` the network ends with the average of its weights.
        batch_at: pairs of a step (0-based), the same whenever asked.
        config: length, drops, bookkeeping.
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

    Choice: all players step on gradients from the same forward pass, which saves one pass of the
    discriminator over three groups of images; the paper does not say in which turn they step.
    """
    players = Players.make(lesson, config, device)
    average = WeightAverage(lesson.network, config.ema) if config.ema else None
    done, curve = 0, []
    if (stored := store.load()) is not None:
        players.restore(stored["players"])
        if average:
            average.restore(stored[AVERAGE])
        _set_rng(stored["rng"])
        done, curve = stored["step"], stored["curve"]

    def keep() -> None:
        if not team.leads:
            return
        averaged = {AVERAGE: average.state()} if average else {}
        store.save({"players": players.state(), "rng": _rng(), "step": done, "curve": curve, **averaged})

    lesson.network.train()
    lesson.rivals.train()
    with _stop_signals(team) as asked:
        while done < config.iterations:
            players.set_rates(config.lr_factor(done))
            values = train_step(players, batch_at(done), config, device, team)
            done += 1
            if average:
                average.update()
            if done % config.log_every == 0 or done == config.iterations:
                curve.append({"step": done, **values})
            on_step(done, values)
            if asked.is_set():
                keep()
                raise SystemExit(f"training stopped after step {done} of {config.iterations}; run it again to resume")
            if done % config.checkpoint_every == 0 or done == config.iterations:
                keep()
    if average:
        average.fill(lesson.network)
    return curve


def train_step(
    players: Players, batch: Batch, config: TrainConfig, device: torch.device, team: Replicas = ALONE
) -> Losses:
    """Update all players by one batch and return the losses as numbers.

    In a team the batch is this process's share: gradients, losses and BatchNorm's statistics are averaged, and
    the networks stay equal.

    Choice: each process normalises by the statistics of its own share (BatchNorm across processes needs CUDA).
    """
    with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
        found = players.lesson.losses(batch.to(device, config.layout))
    named = {**found.of, **found.terms}
    numbers = torch.stack([value.detach().float() for value in named.values()])
    if device.type == "cpu" and not numbers.isfinite().all():
        # There the sampler's backward pass ends the process where positions are no numbers. The average tells the team.
        for parameter in players.parameters():
            parameter.grad = torch.zeros_like(parameter)
    else:
        _descend(players, found)
    team.average([numbers, *players.gradients(), *players.statistics()])
    values = dict(zip(named, numbers.tolist(), strict=True))
    bad = [name for name, value in values.items() if not math.isfinite(value)]
    if bad:
        raise TrainingDiverged(f"training diverged: {', '.join(bad)} not finite; lower the learning rates or weights")
    for adam in players.adams.values():
        adam.step()
    return values


def _descend(players: Players, found: StepLosses) -> None:
    for adam in players.adams.values():
        adam.zero_grad()
    *first, last = players.adams
    for player in first:  # the graph is kept until the last one has been through it
        found.of[player].backward(inputs=_parameters(players.adams[player]), retain_graph=True)
    found.of[last].backward(inputs=_parameters(players.adams[last]))


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
