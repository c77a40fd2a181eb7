"""How HeadGAN is trained here, with the NMFC of the benchmark's head (paper section 4.1)."""

from torch import nn

from model.baselines.headgan.lesson import HeadGanLesson, HeadGanRates
from model.baselines.headgan.network import HeadGan, HeadGanConfig
from model.heads.head import HeadModel
from model.method.lesson import Lesson
from model.training.adversarial import LossConfig
from model.training.discriminator import Discriminator, DiscriminatorConfig
from model.training.perceptual import Perceptual
from pipeline.params.recipe import Recipe
from pipeline.params.sections.headgan import HeadGanSection


class HeadGanTeacher:
    """See `pipeline.methods.teaching.Teacher`."""

    def build(self, recipe: Recipe, section: HeadGanSection, variant: str, head: HeadModel) -> nn.Module:
        """The network without audio, for the recipe's images."""
        return HeadGan(HeadGanConfig(native_px=recipe.image_px, **section.generator.model_dump()))

    def lesson(self, network: nn.Module, section: HeadGanSection, perceptual: Perceptual) -> Lesson:
        """Generator against discriminator."""
        assert isinstance(network, HeadGan)  # as `build` makes it
        discriminator = Discriminator(DiscriminatorConfig(**section.discriminator.model_dump()))
        rates = HeadGanRates(
            generator=section.learning_rate.generator, discriminator=section.learning_rate.discriminator
        )
        losses = LossConfig(**section.losses.model_dump())
        return HeadGanLesson(network, discriminator, perceptual, losses, rates)


TEACHER = HeadGanTeacher()
