"""How X2Face is trained here: two stages (paper, section 3), on pairs of frames alone."""

import torch
from torch import nn

from model.baselines.x2face.lesson import X2FaceLesson, X2FaceLosses, X2FaceRates
from model.baselines.x2face.network import X2Face, X2FaceConfig
from model.heads.head import HeadModel
from model.method.lesson import Lesson
from model.training.perceptual import Perceptual
from pipeline.params.recipe import Recipe
from pipeline.params.sections.x2face import X2FaceSection


class X2FaceTeacher:
    """See `pipeline.methods.teaching.Teacher`."""

    def build(self, recipe: Recipe, section: X2FaceSection, variant: str, head: HeadModel) -> nn.Module:
        """Both networks for the recipe's images; where `flow_gain` is small they sample near the identity."""
        sizes = section.generator.model_dump(exclude={"flow_gain"})
        network = X2Face(X2FaceConfig(native_px=recipe.image_px, **sizes))
        with torch.no_grad():
            for part in (network.unwrapped, network.sampler):
                part.last.weight.mul_(section.generator.flow_gain)
        return network

    def lesson(self, network: nn.Module, section: X2FaceSection, perceptual: Perceptual) -> Lesson:
        """Two networks, and nobody against them."""
        assert isinstance(network, X2Face)  # as `build` makes it
        weights = X2FaceLosses(**section.losses.model_dump(exclude={"perceptual_scales"}))
        rates = X2FaceRates(generator=section.learning_rate.generator, flow=section.learning_rate.flow)
        return X2FaceLesson(network, perceptual, weights, rates)


TEACHER = X2FaceTeacher()
