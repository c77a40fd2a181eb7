"""What training is made of: plain frozen records, without defaults; every number comes from params.yaml."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """How long and how fast to train.

    Attributes:
        iterations: number of optimiser steps.
        batch_size: pairs a step.
        seed: of the initial weights and of the order of the pairs.
        lr_drop_steps: steps at which every learning rate is multiplied by `lr_drop_factor`.
        lr_drop_factor: that factor.
        betas: Adam's decay rates.
        log_every: steps between two rows of the training curve.
        checkpoint_every: steps between two checkpoints.
        precision: "float32", or "bfloat16" for autocast.
        channels_last: memory layout of the convolutions.
        ema: decay of the moving average of the network's weights, which then are the model; None keeps none.
    """

    iterations: int
    batch_size: int
    seed: int
    lr_drop_steps: tuple[int, ...]
    lr_drop_factor: float
    betas: tuple[float, float]
    log_every: int
    checkpoint_every: int
    precision: str
    channels_last: bool
    ema: float | None

    def __post_init__(self) -> None:
        if self.precision not in ("float32", "bfloat16"):
            raise ValueError(f"precision {self.precision!r}, expected float32 or bfloat16")

    @property
    def layout(self) -> torch.memory_format:
        """How images and weights of convolutions lie in memory."""
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def lr_factor(self, step: int) -> float:
        """Factor on every learning rate at a step (0-based)."""
        return self.lr_drop_factor ** sum(step >= drop for drop in self.lr_drop_steps)
