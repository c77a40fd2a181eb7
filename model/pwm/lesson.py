"""How the PWM is taught: losses of generator and discriminator (paper section 3.4, supplementary 1).

Legend: I_d the driving image, which is the ground truth; I_o the output; I_w the source warped by the
last displacement.

Choice: "all of the above losses" (supplementary 1.4) are taken for the discriminator's too: it tells I_d from I_o and,
with the factor `warped`, I_d from I_w, so that its term of I_d counts once with each.
"""

import torch
from torch import Tensor, nn

from model.method.lesson import ParamGroup, StepLosses
from model.method.network import Batch
from model.pwm.animator import Animator
from model.pwm.generator import PWMOutput
from model.pwm.lesson_config import LossConfig, Rates
from model.training.discriminator import Discriminator
from model.training.losses import discriminator_hinge, feature_matching, generator_hinge, groups
from model.training.perceptual import Perceptual

TERMS = ("perceptual", "adversarial", "feature_matching", "pixel")


class PwmLesson:
    """The animator, its discriminator and the yardstick between them.

    Args:
        animator: what is trained.
        discriminator: its rival.
        perceptual: frozen.
        losses: weights of the losses.
        rates: first learning rates.
    """

    def __init__(
        self, animator: Animator, discriminator: Discriminator, perceptual: Perceptual, losses: LossConfig, rates: Rates
    ) -> None:
        self.network = animator
        self.rivals = nn.ModuleDict({"discriminator": discriminator})
        self.fixed = nn.ModuleDict({"perceptual": perceptual})
        self._losses, self._rates = losses, rates

    def players(self) -> dict[str, list[ParamGroup]]:
        """Generator and codes, each at its own rate, against the discriminator."""
        rates, codes = self._rates, self.network.guidance.codes
        generator = [ParamGroup(list(self.network.generator.parameters()), rates.generator)]
        if codes is not None:
            generator.append(ParamGroup([codes], rates.codes))
        rival = [ParamGroup(list(self.rivals.parameters()), rates.discriminator)]
        return {"generator": generator, "discriminator": rival}

    def losses(self, batch: Batch) -> StepLosses:
        """Animate the sources and measure I_o and I_w against I_d."""
        out = self.network(batch.source, batch.signals).own
        discriminator, perceptual = self.rivals["discriminator"], self.fixed["perceptual"]
        assert isinstance(discriminator, Discriminator)
        assert isinstance(perceptual, Perceptual)
        return step_losses(out, batch.target, discriminator, perceptual, self._losses)


def step_losses(
    out: PWMOutput, target: Tensor, discriminator: Discriminator, perceptual: Perceptual, config: LossConfig
) -> StepLosses:
    """Measure I_o and I_w against I_d with one pass of the discriminator over I_d, I_o and I_w.

    Both players' gradients come from that pass. Terms are those of the generator's loss before weighting: for I_o by
    their names in `TERMS`, for I_w with `_warped` appended.

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
    return StepLosses({"generator": generator, "discriminator": discriminator_loss}, terms)
