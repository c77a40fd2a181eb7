"""How HeadGAN is taught here, in compact form (the released options at c1ed825 are on its card, docs/cards/headgan.md).

Kept: hinge loss against a multi-scale patch discriminator, feature matching, perceptual and pixel losses, on the image
and on the warped source. Left out: the discriminator of the mouth, and the losses' masks. No supervision beside the
pairs.
"""

from dataclasses import dataclass

from torch import nn

from model.baselines.headgan.network import HeadGan
from model.method.lesson import ParamGroup, StepLosses
from model.method.network import Batch
from model.training.adversarial import LossConfig, step_losses
from model.training.discriminator import Discriminator
from model.training.perceptual import Perceptual


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadGanRates:
    """Adam's steps before any drop, of the generator and of the discriminator."""

    generator: float
    discriminator: float


class HeadGanLesson:
    """See `model.method.lesson.Lesson`.

    Args:
        network: what is trained.
        discriminator: its rival.
        perceptual: frozen.
        losses: weights of the losses.
        rates: first learning rates.
    """

    def __init__(
        self, network: HeadGan, discriminator: Discriminator, perceptual: Perceptual, losses: LossConfig,
        rates: HeadGanRates,
    ) -> None:  # fmt: skip
        self.network = network
        self.rivals = nn.ModuleDict({"discriminator": discriminator})
        self.fixed = nn.ModuleDict({"perceptual": perceptual})
        self._losses, self._rates = losses, rates

    def players(self) -> dict[str, list[ParamGroup]]:
        """Generator against discriminator."""
        generator = ParamGroup(list(self.network.parameters()), self._rates.generator)
        rival = ParamGroup(list(self.rivals.parameters()), self._rates.discriminator)
        return {"generator": [generator], "discriminator": [rival]}

    def losses(self, batch: Batch) -> StepLosses:
        """Animate the sources and measure image and warped source against the driving frame."""
        made = self.network(batch.source, batch.signals)
        warped = (made.own.warped + 1) / 2
        discriminator, perceptual = self.rivals["discriminator"], self.fixed["perceptual"]
        assert isinstance(discriminator, Discriminator)
        assert isinstance(perceptual, Perceptual)
        return step_losses(made.image, warped, batch.target, discriminator, perceptual, self._losses)
