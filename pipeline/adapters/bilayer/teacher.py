"""How Bi-Layer is trained here (docs/cards/bilayer.md)."""

from torch import nn

from model.baselines.bilayer.discriminator import Rival, RivalConfig
from model.baselines.bilayer.lesson import BiLayerLesson, BiLayerLosses, BiLayerRates
from model.baselines.bilayer.network import BiLayer, BiLayerConfig
from model.baselines.bilayer.start import start_quietly
from model.heads.head import HeadModel
from model.method.lesson import Lesson
from model.training.perceptual import Perceptual
from pipeline.params.recipe import Recipe
from pipeline.params.sections.bilayer import BiLayerSection


class BiLayerTeacher:
    """See `pipeline.methods.teaching.Teacher`."""

    def build(self, recipe: Recipe, section: BiLayerSection, variant: str, head: HeadModel) -> nn.Module:
        """The network for the recipe's images, which at first shows the source where the section says so."""
        network = BiLayer(BiLayerConfig(image_px=recipe.image_px, **section.generator.model_dump()))
        if section.quiet_start is not None:
            start_quietly(network, section.quiet_start)
        return network

    def lesson(self, network: nn.Module, section: BiLayerSection, perceptual: Perceptual) -> Lesson:
        """Generator against a rival that sees the drawing of the pose as well."""
        assert isinstance(network, BiLayer)  # as `build` makes it
        rival = Rival(RivalConfig(**section.discriminator.model_dump()))
        rates = BiLayerRates(
            generator=section.learning_rate.generator, discriminator=section.learning_rate.discriminator
        )
        losses = BiLayerLosses(**section.losses.model_dump())
        return BiLayerLesson(network, rival, perceptual, losses, rates)


TEACHER = BiLayerTeacher()
