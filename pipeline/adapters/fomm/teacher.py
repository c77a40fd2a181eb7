"""How FOMM is trained here, on the pairs alone."""

from torch import nn

from model.baselines.fomm.lesson import FommLesson, FommLosses, FommRates
from model.baselines.fomm.network import Fomm, FommConfig
from model.baselines.fomm.start import published_start, start_near_source
from model.baselines.shared.equivariance import DistortionConfig
from model.heads.head import HeadModel
from model.method.lesson import Lesson
from model.training.perceptual import Perceptual
from pipeline.params.recipe import Recipe
from pipeline.params.sections.fomm import FommSection


class FommTeacher:
    """See `pipeline.methods.teaching.Teacher`."""

    def build(self, recipe: Recipe, section: FommSection, variant: str, head: HeadModel) -> nn.Module:
        """The network for the recipe's images, with the weights that `section.start` names."""
        network = Fomm(FommConfig(image_px=recipe.image_px, **section.generator.model_dump()))
        published_start(network)
        if section.start == "near_source":
            start_near_source(network)
        return network

    def lesson(self, network: nn.Module, section: FommSection, perceptual: Perceptual) -> Lesson:
        """Generator and keypoint detector learn together; there is no rival."""
        assert isinstance(network, Fomm)  # as `build` makes it
        first = section.learning_rate
        rates = FommRates(generator=first.generator, keypoints=first.keypoints, last=first.last)
        losses = FommLosses(**section.losses.model_dump(exclude={"perceptual_scales"}))
        distortion = DistortionConfig(**section.distortion.model_dump())
        return FommLesson(network, perceptual, losses, distortion, rates)


TEACHER = FommTeacher()
