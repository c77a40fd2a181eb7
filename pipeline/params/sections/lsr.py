"""The section of LSR."""

from typing import ClassVar, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from pipeline.params.sections.base import AdversarialRates, Section, SharedLosses, Weight
from pipeline.params.strict import Strict


class LsrLearningRates(AdversarialRates):
    """With that of the layout's encoder and generator."""

    layout: PositiveFloat


class LsrSizes(Strict):
    """Sizes of LSR's four networks (model/baselines/lsr/network.py)."""

    levels: PositiveInt  # doublings of the two generators; the image's side is a multiple of 2^levels
    style: PositiveInt
    channels: PositiveInt
    most: PositiveInt
    spade_hidden: PositiveInt
    start: Literal["drawn", "source"]  # where training starts (model/baselines/lsr/start.py)


class LsrDiscriminator(Strict):
    """Sizes of its discriminator (model/baselines/lsr/discriminator.py)."""

    scales: PositiveInt
    levels: PositiveInt
    channels: PositiveInt
    most: PositiveInt


class LsrLayoutStage(Strict):
    """Weights of the first stage (model/baselines/lsr/lesson.py)."""

    share: float = Field(ge=0.0, lt=1.0)  # of the training
    segmentation: float = Weight
    painted: float = Weight
    layout_code: float = Weight


class LsrLosses(SharedLosses):
    """Weights of the second stage, and those of the first."""

    pixel: float = Weight
    adversarial: float = Weight
    segmentation: float = Weight
    layout_code: float = Weight
    style_code: float = Weight
    penalty_real: float = Weight
    penalty_made: float = Weight
    layout_stage: LsrLayoutStage


class LsrSection(Section):
    """LSR as it is trained here."""

    needs_parts: ClassVar[bool] = True
    learning_rate: LsrLearningRates
    generator: LsrSizes
    discriminator: LsrDiscriminator
    losses: LsrLosses
