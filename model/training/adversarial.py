"""Losses of a generator that warps and paints, and of its discriminator (paper section 3.4, supplementary 1).

Legend: I_d the driving image, which is the ground truth; I_o the output; I_w the source as motion alone moves it.

Choice: "all of the above losses" (supplementary 1.4) are taken for the discriminator's too: it tells I_d from I_o and,
with the factor `warped`, I_d from I_w, so that its term of I_d counts once with each.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from model.method.lesson import StepLosses
from model.training.discriminator import Discriminator
from model.training.losses import discriminator_hinge, generator_hinge, judged, mean_apart
from model.training.perceptual import Perceptual

TERMS = ("perceptual", "adversarial", "feature_matching", "pixel")


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


def step_losses(
    image: Tensor,
    warped: Tensor,
    target: Tensor,
    discriminator: Discriminator,
    perceptual: Perceptual,
    config: LossConfig,
) -> StepLosses:
    """Measure I_o and I_w, which pass through each network together, against I_d.

    Both players' gradients come from the same passes of the discriminator. Terms are those of the generator's loss
    before weighting: for I_o by their names in `TERMS`, for I_w with `_warped` appended.

    Args:
        image: I_o, what the generator made, (B, 3, H, W) in [0, 1].
        warped: I_w, the source as its motion alone moves it.
        target: I_d.
        discriminator: judges images.
        perceptual: compares features; the target's are computed once.
        config: weights.
    """
    stacked = torch.cat([image, warped])
    real, made = judged(discriminator, target, stacked)
    values = {
        "perceptual": perceptual(stacked, perceptual.target(target)),
        "adversarial": generator_hinge(made, len(target)),
        "feature_matching": discriminator.distance(real, made),
        "pixel": mean_apart(stacked, target),
    }  # (2,) each
    weighted = torch.stack([getattr(config, name) * value for name, value in values.items()]).sum(0)
    hinges = discriminator_hinge(real, made)
    terms = {name: value[0].detach() for name, value in values.items()}
    terms |= {f"{name}_warped": value[1].detach() for name, value in values.items()}
    return StepLosses(
        {
            "generator": weighted[0] + config.warped * weighted[1],
            "discriminator": hinges[0] + config.warped * hinges[1],
        },
        terms,
    )
