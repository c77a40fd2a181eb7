"""Losses of generator and discriminator (paper section 3.4, supplementary 1).

Legend: I_d the driving image, which is the ground truth; I_o the output; I_w the source warped by the
last displacement. Groups stack along the batch axis, so that each network sees one pass.

Choice: means over positions and images where the supplement has sums, so that weights do not depend
on sizes; scales and layers are summed.
Choice: "all of the above losses" (supplementary 1.4) are taken for the discriminator's too: it tells I_d from I_o and,
with the factor `warped`, I_d from I_w, so that its term of I_d counts once with each.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F

from model.pwm.generator import PWMOutput
from model.training.config import LossConfig
from model.training.discriminator import Discriminator, PatchScores
from model.training.perceptual import Perceptual

TERMS = ("perceptual", "adversarial", "feature_matching", "pixel")


@dataclass(frozen=True)
class StepLosses:
    """Losses of one step.

    Attributes:
        generator: weighted sum, a scalar with gradient to the generator (and to the discriminator,
            whose gradients of it nobody asks for).
        discriminator: hinge loss, a scalar with gradient to the discriminator.
        terms: each term of the generator's loss before weighting, for I_o by its name in `TERMS` and
            for I_w with `_warped` appended.
    """

    generator: Tensor
    discriminator: Tensor
    terms: dict[str, Tensor]


def step_losses(
    out: PWMOutput, target: Tensor, discriminator: Discriminator, perceptual: Perceptual, config: LossConfig
) -> StepLosses:
    """Measure I_o and I_w against I_d with one pass of the discriminator over I_d, I_o and I_w.

    Both players' gradients come from that pass: back-propagate `generator` to the generator's
    parameters alone (keeping the graph), then `discriminator` to the discriminator's alone.

    Args:
        out: what the generator made.
        target: I_d (B, 3, H, W) in [0, 1].
        discriminator: judges images.
        perceptual: compares features; the target's are computed once.
        config: weights.
    """
    made = torch.cat([out.image, out.warped])
    real, *made_scores = groups(discriminator(torch.cat([target, made])), 3)
    features = perceptual(made, perceptual.target(target))  # (2,)
    weights = {name: getattr(config, name) for name in TERMS}
    generator = target.new_zeros(())
    discriminator_loss = target.new_zeros(())
    terms: dict[str, Tensor] = {}
    for k, (suffix, factor, image) in enumerate((("", 1.0, out.image), ("_warped", config.warped, out.warped))):
        values = {
            "perceptual": features[k],
            "adversarial": generator_hinge(made_scores[k]),
            "feature_matching": feature_matching(real, made_scores[k]),
            "pixel": (image - target).abs().mean(),
        }
        terms |= {name + suffix: value.detach() for name, value in values.items()}
        generator = generator + factor * sum(weights[name] * value for name, value in values.items())
        discriminator_loss = discriminator_loss + factor * discriminator_hinge(real, made_scores[k])
    return StepLosses(generator, discriminator_loss, terms)


def groups(scores: list[PatchScores], count: int) -> list[list[PatchScores]]:
    """Cut scores of `count` stacked groups of equal size apart.

    Chunks of one map share a node of the graph, so its gradient is put together once; slices would each fill a map.
    """
    cut = [([f.chunk(count) for f in s.features], s.logits.chunk(count)) for s in scores]
    return [[PatchScores([f[k] for f in features], logits[k]) for features, logits in cut] for k in range(count)]


def discriminator_hinge(real: list[PatchScores], made: list[PatchScores]) -> Tensor:
    """Equation 3: mean max(0, 1 - D(real)) + mean max(0, 1 + D(made)), summed over scales."""
    pairs = zip(real, made, strict=True)
    return cast(Tensor, sum(F.relu(1.0 - r.logits).mean() + F.relu(1.0 + m.logits).mean() for r, m in pairs))


def generator_hinge(made: list[PatchScores]) -> Tensor:
    """Equation 2: -mean D(made), summed over scales."""
    return -cast(Tensor, sum(m.logits.mean() for m in made))


def feature_matching(real: list[PatchScores], made: list[PatchScores]) -> Tensor:
    """Equation 4: mean absolute difference of hidden features, summed over layers and scales.

    The real features carry no gradient: the loss moves the made image, not what it is compared with.
    """
    distances = (
        (a.detach() - b).abs().mean()
        for r, m in zip(real, made, strict=True)
        for a, b in zip(r.features, m.features, strict=True)
    )
    return cast(Tensor, sum(distances))
