"""What training is made of: plain frozen records, without defaults; every number comes from params.yaml."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class DiscriminatorConfig:
    """Size of the multi-scale Patch-GAN: `scales` networks of `layers` strided convolutions."""

    scales: int
    layers: int
    width: int
    max_width: int


@dataclass(frozen=True, kw_only=True, slots=True)
class LossConfig:
    """Weights of the losses and where they are measured.

    Attributes:
        perceptual: weight of the perceptual loss (supplementary 1.1).
        perceptual_scales: image scales of the perceptual loss, each half the one before.
        adversarial: weight of the hinge loss of the generator (1.2).
        feature_matching: weight of the discriminator feature matching loss (1.3).
        pixel: weight of an L1 loss on pixels (not in the paper).
        warped: factor on all of these for the warped source I_w (1.4).
    """

    perceptual: float
    perceptual_scales: int
    adversarial: float
    feature_matching: float
    pixel: float
    warped: float


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """How long and how fast to train.

    Attributes:
        iterations: number of optimiser steps.
        batch_size: pairs a step.
        seed: of the initial weights and of the order of the pairs.
        lr_generator: Adam's step for the generator.
        lr_discriminator: Adam's step for the discriminator.
        lr_codes: Adam's step for the table of neural codes.
        lr_drop_steps: steps at which every learning rate is multiplied by `lr_drop_factor`.
        lr_drop_factor: that factor.
        betas: Adam's decay rates.
        log_every: steps between two rows of the training curve.
        checkpoint_every: steps between two checkpoints.
        precision: "float32", or "bfloat16" for autocast.
        channels_last: memory layout of the convolutions.
    """

    iterations: int
    batch_size: int
    seed: int
    lr_generator: float
    lr_discriminator: float
    lr_codes: float
    lr_drop_steps: tuple[int, ...]
    lr_drop_factor: float
    betas: tuple[float, float]
    log_every: int
    checkpoint_every: int
    precision: str
    channels_last: bool

    def __post_init__(self) -> None:
        if self.precision not in ("float32", "bfloat16"):
            raise ValueError(f"precision {self.precision!r}, expected float32 or bfloat16")

    def lr_factor(self, step: int) -> float:
        """Factor on every learning rate at a step (0-based)."""
        return self.lr_drop_factor ** sum(step >= drop for drop in self.lr_drop_steps)
