"""The section of X2Face."""

from pydantic import Field, PositiveFloat, PositiveInt

from pipeline.params.sections.base import LearningRates, Section, SharedLosses, Weight
from pipeline.params.strict import Strict


class X2FaceSizes(Strict):
    """Sizes of X2Face's two networks (model/baselines/x2face/network.py), and how they begin."""

    levels: PositiveInt  # each halves the image
    width: PositiveInt  # channels of the first level; they double up to eight times that
    bottleneck: PositiveInt  # channels of the driving network's deepest level
    flow_gain: PositiveFloat  # factor on the first weights of both last convolutions; 1 as published


class X2FaceRates(LearningRates):
    """One more for the convolutions that both networks end in."""

    flow: PositiveFloat


class X2FaceLosses(SharedLosses):
    """Weights of the losses (model/baselines/x2face/lesson.py); the perceptual one is of the second stage."""

    photometric: float = Weight
    identity: float = Weight  # of the second stage
    second_stage: float = Field(ge=0.0, le=1.0)  # share of the iterations after which it begins; 1: never


class X2FaceSection(Section):
    """X2Face as it is trained here."""

    learning_rate: X2FaceRates
    generator: X2FaceSizes
    losses: X2FaceLosses
