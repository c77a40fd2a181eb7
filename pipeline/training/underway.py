"""What a run shows to those who observe it while it trains."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from model.method.lesson import Lesson
from model.method.network import Batch
from model.training.config import TrainConfig
from model.training.loop import Losses


@dataclass(frozen=True)
class Underway:
    """A run that is about to train, in the process that leads it. Observers read; they change nothing of it.

    Attributes:
        row: its key.
        folder: scratch folder of its states, for what no result depends on.
        lesson: its network, in training, and first learning rates.
        sample: the first few of its training pairs, not augmented, on the network's device.
        people: whom the sample shows: people, and whole videos.
        config: its length and bookkeeping.
        device: where it trains.
        waited: seconds that it has spent waiting for batches so far.
    """

    row: str
    folder: Path
    lesson: Lesson
    sample: Batch
    people: frozenset[str]
    config: TrainConfig
    device: torch.device
    waited: Callable[[], float]


class Observer(Protocol):
    """Somebody who looks at a run; what it raises ends the run before the state of that step is kept."""

    def begin(self, step: int, curve: list[Losses]) -> None:
        """Be told how far a run is that begins or goes on: its steps, and its training curve until then."""
        ...

    def after_step(self, step: int, losses: Losses) -> None:
        """Be told that a step (counted from 1) is done, and its losses."""
        ...


Observe = Callable[[Underway], Observer]


class TimedBatches:
    """Batches, and how long they were waited for."""

    def __init__(self, batch_at: Callable[[int], Batch]) -> None:
        self._batch_at = batch_at
        self.waited_s = 0.0

    def __call__(self, step: int) -> Batch:
        """Return the batch of a step."""
        began = time.monotonic()
        batch = self._batch_at(step)
        self.waited_s += time.monotonic() - began
        return batch
