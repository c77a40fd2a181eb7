"""What the PWM's lesson is made of: plain frozen records, without defaults; every number comes from params.yaml."""

from dataclasses import dataclass


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
class Rates:
    """Adam's steps before any drop.

    Attributes:
        generator: of the generator.
        discriminator: of the discriminator.
        codes: of the table of neural codes.
    """

    generator: float
    discriminator: float
    codes: float
