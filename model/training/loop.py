"""The training loop: an Adam a player, learning-rate drops, checkpoints that resume bit for bit.

It knows no method: what is taught, and by which losses, is a `model.method.lesson.Lesson`.
"""

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from model.frame.layout import lay_out
from model.method.lesson import Lesson, StepLosses
from model.method.network import Batch
from model.training.averaging import AVERAGE, WeightAverage
from model.training.config import TrainConfig
from model.training.interrupt import stop_signals
from model.training.random_state import random_state, set_random_state
from model.training.replicas import ALONE, Replicas
from model.training.resume import CheckpointStore

LOOK_EVERY = 20  # steps on CUDA; at 50 ms each a signal is answered within a second
Losses = dict[str, float]


class TrainingDiverged(RuntimeError):
    """A loss is not finite; the last checkpoint precedes it."""


@dataclass
class Players:
    """A lesson and the optimiser of each of its players, and the average of the network's weights where one is kept."""

    lesson: Lesson
    adams: dict[str, torch.optim.Adam]
    average: WeightAverage | None = None

    @classmethod
    def make(cls, lesson: Lesson, config: TrainConfig, device: torch.device) -> "Players":
        """Move the networks to the device and give each player its optimiser."""
        for networks in (lesson.network, lesson.rivals, lesson.fixed):
            lay_out(networks.to(device), config.channels_last)
        adams = {}
        for player, groups in lesson.players().items():
            params = [{"params": group.parameters, "lr": group.rate, "first_lr": group.rate} for group in groups]
            adams[player] = torch.optim.Adam(params, betas=config.betas, fused=True)
        return cls(lesson, adams, WeightAverage(lesson.network, config.ema) if config.ema else None)

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

    def put_off(self, unreached: list[Tensor]) -> None:
        """Let optimisers pass over parameters of this step that no gradient has reached in any step before.

        Adam corrects its averages by the number of steps. Counted from steps without a gradient, the first ones with
        one would be (1 - beta1) / sqrt(1 - beta2) times as long, with the usual rates more than ten times.
        """
        for parameter in unreached:
            if not any(parameter in adam.state for adam in self.adams.values()):
                parameter.grad = None

    def statistics(self) -> list[Tensor]:
        """BatchNorm's running means and variances, all that depends on a share of the batch but gradients."""
        modules = [*self.lesson.network.modules(), *self.lesson.rivals.modules()]
        norms = [m for m in modules if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d)]
        return [norm.get_buffer(name) for norm in norms for name in ("running_mean", "running_var")]

    def state(self) -> dict[str, Any]:
        """Everything that the next step depends on, but the data."""
        return {
            "network": self.lesson.network.state_dict(),
            "rivals": self.lesson.rivals.state_dict(),
            "adams": {player: adam.state_dict() for player, adam in self.adams.items()},
            **({} if self.average is None else {AVERAGE: self.average.state()}),
        }

    def digest(self) -> Tensor:
        """SHA-256 of all weights, buffers and optimisers' states, (32,) uint8 on the CPU."""
        found = hashlib.sha256()
        for tensor in _tensors(self.state()):
            found.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
        return torch.frombuffer(bytearray(found.digest()), dtype=torch.uint8)

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a state of `state`."""
        self.lesson.network.load_state_dict(state["network"])
        self.lesson.rivals.load_state_dict(state["rivals"])
        for player, adam in self.adams.items():
            adam.load_state_dict(state["adams"][player])
        if self.average is not None:
            self.average.restore(state[AVERAGE])


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
    and resumed ends with the same weights as one that was not: on the CPU bit for bit, on CUDA not, because the
    gradient of sampling is a sum in no fixed order there. SIGINT, SIGTERM and SIGUSR1, sent to any process of a team,
    let all store the state after the step under way (on CUDA within `LOOK_EVERY` steps) and then exit with status 1.

    Args:
        lesson: its network and rivals are trained in place; their initial weights come from the caller's seed. With
            `config.ema` the network ends with the average of its weights.
        batch_at: pairs of a step (0-based), the same whenever asked.
        config: length, drops, bookkeeping.
        device: where to train.
        store: where checkpoints go, one folder that all processes of a team see.
        on_step: called for each step, in order, with the number of steps done and its losses, once they have been
            looked at: on the CPU after each step, on CUDA every `LOOK_EVERY` steps, when the networks may be that much
            further. It may raise to end the training: no state after this step is kept then. It must change nothing.
        team: processes that train these networks together, each on its share of the batch; the first one
            stores checkpoints.

    Returns:
        The training curve: a row every `log_every` steps and one for the last.

    Raises:
        TrainingDiverged: a loss is not finite; nothing was updated by it.
        RuntimeError: the state is of another number of processes; processes hold different weights; the state cannot
            be kept; a process was lost.
        SystemExit: asked to stop by a signal.

    Choice: all players step on gradients from the same forward pass, which saves one pass of the
    discriminator over three groups of images; the paper does not say in which turn they step.
    """
    players = Players.make(lesson, config, device)
    done, curve = resume(players, store, device, team)
    every, steps = look_every(device), Steps(players, config, device, team)

    def keep() -> None:
        keep_state(players, store, device, team, done, curve)

    lesson.network.train()
    lesson.rivals.train()
    with stop_signals() as asked:
        while done < config.iterations:
            players.set_rates(config.lr_factor(done))
            steps.take(batch_at(done), asked.is_set())
            done += 1
            at_checkpoint = done % config.checkpoint_every == 0 or done == config.iterations
            if done % every and not at_checkpoint:
                continue
            rows, stop = steps.look()
            for step, values in enumerate(rows, done - len(rows) + 1):
                if step % config.log_every == 0 or step == config.iterations:
                    curve.append({"step": step, **values})
                on_step(step, values)
            if stop or (team.count == 1 and asked.is_set()):
                keep()
                raise SystemExit(f"training stopped after step {done} of {config.iterations}; run it again to resume")
            if at_checkpoint:
                keep()
    if players.average is not None:
        players.average.fill(lesson.network)
    return curve


def look_every(device: torch.device) -> int:
    """Steps between two looks at losses: each look waits for the device."""
    return LOOK_EVERY if device.type == "cuda" else 1


class Steps:
    """Steps whose losses stay on the device until they are looked at.

    A step whose losses are not finite updates nothing, nor does any after it: the device itself lets the optimisers
    pass, and the next look raises. Where every step is looked at, on the CPU, it raises before the update.

    Args:
        players: what is updated.
        config: precision and layout.
        device: where they are.
        team: processes that share each batch.
        at_once: whether every step is looked at before its update; as the device asks for if None.
    """

    def __init__(
        self,
        players: Players,
        config: TrainConfig,
        device: torch.device,
        team: Replicas = ALONE,
        at_once: bool | None = None,
    ) -> None:
        self.players, self.config, self.device, self.team = players, config, device, team
        self._at_once = look_every(device) == 1 if at_once is None else at_once
        self._names: list[str] = []
        self._taken: list[Tensor] = []  # of each step since the last look: losses, and whether to stop
        self._halted = torch.zeros((), device=device)  # 1 from the first step on that was not finite

    def take(self, batch: Batch, stop: bool = False) -> None:
        """Update all players by one batch, which in a team is this process's share.

        Args:
            batch: the pairs.
            stop: whether this process was asked to stop; all of a team learn of it.
        """
        try:
            numbers = self._gradients(batch, stop)
        except torch.OutOfMemoryError as error:
            raise RuntimeError(self._too_large(len(batch.source))) from error
        self._taken.append(numbers)
        adams = self.players.adams.values()
        if self._at_once:
            self._check(self._fetch()[-1:])
        else:
            self._halted = torch.maximum(self._halted, (~numbers.isfinite().all()).float())
            for adam in adams:
                adam.found_inf = self._halted  # type: ignore[attr-defined]  # what fused optimisers ask for
        for adam in adams:
            adam.step()
        if self.players.average is not None:
            self.players.average.update()

    def look(self) -> tuple[list[Losses], bool]:
        """Return the losses of each step since the last look, and whether a process was asked to stop.

        Raises:
            TrainingDiverged: one of them is not finite.
        """
        fetched = self._fetch()
        self._check(fetched)
        self._taken.clear()
        return [dict(zip(self._names, row, strict=False)) for row in fetched], any(row[-1] > 0 for row in fetched)

    def _fetch(self) -> list[list[float]]:
        return cast(list[list[float]], torch.stack(self._taken).tolist())  # one copy from the device

    def _check(self, fetched: list[list[float]]) -> None:
        for row in fetched:
            bad = [name for name, value in zip(self._names, row, strict=False) if not math.isfinite(value)]
            if bad:
                raise TrainingDiverged(
                    f"training diverged: {', '.join(bad)} not finite; lower the learning rates or weights"
                )

    def _too_large(self, pairs: int) -> str:
        peak, there = torch.cuda.max_memory_allocated(self.device), torch.cuda.mem_get_info(self.device)[1]
        return (
            f"out of GPU memory: a step of {pairs} pairs (batch_size {self.config.batch_size}, {self.team.count} "
            f"processes) needs more than {peak / 2**30:.1f} GiB of the {there / 2**30:.1f} GiB on {self.device}; lower "
            "batch_size, train in bfloat16, or share the batch between more GPUs"
        )

    def _gradients(self, batch: Batch, stop: bool) -> Tensor:
        """Leave every gradient, averaged over the team, at its parameter; return losses and the wish to stop."""
        players, config, device = self.players, self.config, self.device
        with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
            found = players.lesson.losses(batch.to(device, config.layout))
        named = {**found.of, **found.terms}
        self._names = list(named)
        losses = [value.detach().to(torch.promote_types(value.dtype, torch.float32)) for value in named.values()]
        numbers = torch.stack([*losses, torch.full_like(losses[0], float(stop))])
        if device.type == "cpu" and not numbers.isfinite().all():
            # There the sampler's backward pass ends the process where positions are no numbers. The average tells all.
            for parameter in players.parameters():
                parameter.grad = torch.zeros_like(parameter)
            unreached: list[Tensor] = []
        else:
            unreached = _descend(players, found)
        self.team.average([numbers, *players.gradients(), *players.statistics()])
        players.put_off(unreached)
        return numbers


def _descend(players: Players, found: StepLosses) -> list[Tensor]:
    """Leave a gradient at every parameter; return those of parts that this stage of the lesson does not use: 0."""
    for adam in players.adams.values():
        adam.zero_grad()
    *first, last = players.adams
    for player in first:  # the graph is kept until the last one has been through it
        found.of[player].backward(inputs=_parameters(players.adams[player]), retain_graph=True)
    found.of[last].backward(inputs=_parameters(players.adams[last]))
    unreached = [parameter for parameter in players.parameters() if parameter.grad is None]
    for parameter in unreached:
        parameter.grad = torch.zeros_like(parameter)
    return unreached


def train_step(
    players: Players, batch: Batch, config: TrainConfig, device: torch.device, team: Replicas = ALONE
) -> Losses:
    """Update all players by one batch and return the losses as numbers.

    In a team the batch is this process's share: gradients, losses and BatchNorm's statistics are averaged, and
    the networks stay equal.
    """
    steps = Steps(players, config, device, team)
    steps.take(batch)
    return steps.look()[0][0]


def resume(players: Players, store: CheckpointStore, device: torch.device, team: Replicas) -> tuple[int, list[Losses]]:
    """Take over the newest state, if there is one; return the steps done and the curve so far."""
    stored = store.load()
    done = 0 if stored is None else int(stored["step"])
    team.check_equal(torch.tensor([done]), f"processes found states of different steps in {store.folder}")
    if stored is None:
        return 0, []
    if len(stored["rng"]) != team.count:
        raise RuntimeError(
            f"the state in {store.folder} is of {len(stored['rng'])} processes, and {team.count} would go on: start "
            f"{len(stored['rng'])}, or remove the folder to start again"
        )
    players.restore(stored["players"])
    set_random_state(stored["rng"][team.rank], device)
    return done, stored["curve"]


def keep_state(
    players: Players, store: CheckpointStore, device: torch.device, team: Replicas, done: int, curve: list[Losses]
) -> None:
    """Keep the state of all processes, once they are seen to hold the same weights.

    Choice: one file for all, written by the first, because networks and optimisers are equal; only random streams are
    each process's own. A run goes on with as many processes as it began with: which pairs are normalised together,
    and the order of sums, depend on their number.
    """
    if team.count > 1:
        team.check_equal(players.digest(), f"processes hold different weights after step {done}; no state was kept")
    streams = team.gather(random_state(device))
    if team.leads:
        store.save({"players": players.state(), "rng": streams, "step": done, "curve": curve})
    team.wait()  # a launcher ends all when one leaves


def _parameters(adam: torch.optim.Adam) -> list[Tensor]:
    return [parameter for group in adam.param_groups for parameter in group["params"]]


def _tensors(state: Any) -> Iterator[Tensor]:
    """All tensors of nested dictionaries and lists, in their order."""
    if isinstance(state, Tensor):
        yield state
    elif isinstance(state, dict | list | tuple):
        for part in state.values() if isinstance(state, dict) else state:
            yield from _tensors(part)
