"""How LSR is trained here: layouts of the parts that frames are labelled with, then images."""

from torch import nn

from model.baselines.lsr.discriminator import Critic, CriticConfig
from model.baselines.lsr.lesson import ImageStage, LayoutStage, LsrLesson, LsrRates
from model.baselines.lsr.network import Lsr, LsrConfig
from model.baselines.lsr.start import start_at_source
from model.heads.head import HeadModel
from model.method.lesson import Lesson
from model.method.parts import PARTS
from model.training.perceptual import Perceptual
from pipeline.params.recipe import Recipe
from pipeline.params.sections.lsr import LsrSection


class LsrTeacher:
    """See `pipeline.methods.teaching.Teacher`."""

    def build(self, recipe: Recipe, section: LsrSection, variant: str, head: HeadModel) -> nn.Module:
        """The four networks, for the recipe's images and the parts that frames are labelled with.

        Raises:
            ValueError: the images cannot be halved as often as the section says, or training cannot start as it says.
        """
        sizes, levels = section.generator.model_dump(exclude={"start"}), section.generator.levels
        start_px = recipe.image_px >> levels
        if start_px < 2 or recipe.image_px % 2**levels:
            raise ValueError(
                f"LSR's generator.levels {levels} halves images of {recipe.image_px} px to no whole number of at "
                "least 2: lower it"
            )
        network = Lsr(LsrConfig(native_px=recipe.image_px, start_px=start_px, classes=len(PARTS), **sizes))
        if section.generator.start == "source":
            start_at_source(network)
        return network

    def lesson(self, network: nn.Module, section: LsrSection, perceptual: Perceptual) -> Lesson:
        """Generators and encoders against a discriminator."""
        assert isinstance(network, Lsr)  # as `build` makes it
        critic = Critic(CriticConfig(native_px=network.native_px, **section.discriminator.model_dump()))
        losses = section.losses
        image = ImageStage(**losses.model_dump(exclude={"perceptual_scales", "layout_stage"}))
        rates = LsrRates(**section.learning_rate.model_dump(include={"generator", "layout", "discriminator"}))
        return LsrLesson(network, critic, perceptual, LayoutStage(**losses.layout_stage.model_dump()), image, rates)


TEACHER = LsrTeacher()
