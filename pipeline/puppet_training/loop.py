"""The training loop that the puppet tracker and the puppet judge share."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from model.puppet_nets.layers import read_network

WARM_UP = 0.03  # share of the run in which the learning rate rises


@dataclass(frozen=True)
class Settings:
    """How long and how fast to train.

    Attributes:
        minutes: wall time; the schedule follows the clock.
        steps: number of steps, which then replaces the clock, so that a run can be repeated exactly.
        batch: crops a step.
        learning_rate: highest rate of AdamW; cosine to zero.
        weight_decay: AdamW's.
        bfloat16: run convolutions in bfloat16, twice as fast on processors that have it.
        seed: of initialisation, shuffling and augmentation.
    """

    minutes: float
    steps: int | None
    batch: int
    learning_rate: float
    weight_decay: float
    bfloat16: bool
    seed: int


def shuffled_batches(count: int, batch: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Endless batches of row numbers, every row once an epoch, incomplete batches dropped."""
    while True:
        yield from torch.randperm(count, generator=generator).split(batch)[: count // batch]


def optimise(
    modules: nn.Module,
    count: int,
    settings: Settings,
    loss_of: Callable[[Tensor], dict[str, Tensor]],
    report: Callable[[str], None],
) -> dict[str, float]:
    """Minimise the sum of the losses that `loss_of(rows)` returns.

    Args:
        modules: everything with weights, put into training mode.
        count: number of crops in the training set.
        settings: see `Settings`.
        loss_of: maps row numbers (B,) to named, weighted losses.
        report: receives a line of text now and then.

    Returns:
        steps taken, epochs, minutes, and the last means of the losses.
    """
    generator = torch.Generator().manual_seed(settings.seed)
    optimiser = torch.optim.AdamW(modules.parameters(), lr=0.0, weight_decay=settings.weight_decay)
    modules.train()
    started, step = time.monotonic(), 0
    means: dict[str, float] = {}
    for rows in shuffled_batches(count, settings.batch, generator):
        elapsed = (time.monotonic() - started) / 60
        progress = step / settings.steps if settings.steps else elapsed / settings.minutes
        if progress >= 1:
            break
        rate = settings.learning_rate * min(1.0, (progress + 1e-4) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * progress))
        for group in optimiser.param_groups:
            group["lr"] = rate
        losses = loss_of(rows)
        optimiser.zero_grad(set_to_none=True)
        cast(Tensor, sum(losses.values())).backward()
        nn.utils.clip_grad_norm_(modules.parameters(), 5.0)
        optimiser.step()
        for name, value in losses.items():
            means[name] = 0.98 * means.get(name, float(value.detach())) + 0.02 * float(value.detach())
        if step % 100 == 0:
            report(f"{progress:5.1%} step {step} " + " ".join(f"{k} {v:.4f}" for k, v in means.items()))
        step += 1
    modules.eval()
    return {
        "steps": step,
        "epochs": round(step * settings.batch / count, 2),
        "minutes": round((time.monotonic() - started) / 60, 2),
        **{f"loss_{k}": round(v, 4) for k, v in means.items()},
    }


def training_facts(
    name: str, settings: Settings, crops: dict, summary: dict, weights: dict[str, float], start: Path | None
) -> dict:
    """What a weights file says about its training, and about the training of the weights it started from."""
    return {
        "network": name,
        **asdict(settings),
        **crops,
        **summary,  # the steps and minutes that the run took replace those that were allowed
        "loss_weights": weights,
        "torch": torch.__version__,
        **({"continued_from": read_network(start)[0]["training"]} if start else {}),
    }
