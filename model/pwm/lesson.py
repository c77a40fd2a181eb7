"""How the PWM is taught: its generator against a discriminator (model/training/adversarial.py)."""

from torch import nn

from model.method.lesson import ParamGroup, StepLosses
from model.method.network import Batch
from model.pwm.animator import Animator
from model.pwm.lesson_config import Rates
from model.training.adversarial import LossConfig, step_losses
from model.training.discriminator import Discriminator
from model.training.perceptual import Perceptual


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
        return step_losses(out.image, out.warped, batch.target, discriminator, perceptual, self._losses)
