"""How PIRender is trained here: by the codes of the benchmark's second head, in two stages."""

from torch import nn

from model.baselines.pirender.lesson import PIRenderLesson, PIRenderLosses, PIRenderRates
from model.baselines.pirender.network import PIRender, PIRenderConfig
from model.baselines.pirender.start import start_as_copy
from model.heads.head import HeadModel
from model.method.lesson import Lesson
from model.training.perceptual import Perceptual
from pipeline.adapters.pirender.codes import num_codes
from pipeline.params.recipe import Recipe
from pipeline.params.sections.pirender import PIRenderSection


class PIRenderTeacher:
    """See `pipeline.methods.teaching.Teacher`."""

    def build(self, recipe: Recipe, section: PIRenderSection, variant: str, head: HeadModel) -> nn.Module:
        """The network for the recipe's images and for as many numbers a frame as the head has."""
        sizes = section.generator.model_dump()
        network = PIRender(PIRenderConfig(native_px=recipe.image_px, coefficients=num_codes(head), **sizes))
        if section.starts_as_copy:
            start_as_copy(network)
        return network

    def lesson(self, network: nn.Module, section: PIRenderSection, perceptual: Perceptual) -> Lesson:
        """A generator without a rival."""
        assert isinstance(network, PIRender)  # as `build` makes it
        weights = section.losses.model_dump(exclude={"perceptual_scales"})
        losses = PIRenderLosses(**weights, warp_share=section.warp_share)
        rates = PIRenderRates(generator=section.learning_rate.generator, last=section.learning_rate.last)
        return PIRenderLesson(network, perceptual, losses, rates)


TEACHER = PIRenderTeacher()
