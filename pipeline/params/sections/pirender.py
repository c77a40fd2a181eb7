"""The section of PIRender."""

from typing import ClassVar

from pydantic import Field, PositiveFloat, PositiveInt

from pipeline.params.sections.base import BenchHead, LearningRates, Section, SharedLosses, Weight
from pipeline.params.strict import Strict


class PIRenderSizes(Strict):
    """Sizes of PIRender's network (model/baselines/pirender/network.py); the numbers a frame are its head's."""

    descriptor: PositiveInt  # numbers that describe a window
    warp_channels: PositiveInt  # of the warping network's first level; each level down has twice as many
    warp_max: PositiveInt  # and at most so many
    warp_down: PositiveInt  # its levels down
    warp_up: PositiveInt  # and up: the flow is 2^(warp_down - warp_up) times smaller than the image
    edit_channels: PositiveInt  # of the editing network, as above
    edit_max: PositiveInt
    edit_levels: PositiveInt


class PIRenderRates(LearningRates):
    """With that of the layers that give flow and image, where a step is felt most; as the others in the release."""

    last: PositiveFloat


class PIRenderWeights(SharedLosses):
    """Weights of the losses (model/baselines/pirender/lesson.py); `perceptual` is the image's."""

    perceptual_warped: float = Weight  # of the warped source, in both stages
    style: float = Weight  # Gram matrices of the image
    pixel: float = Weight  # L1 on pixels of image and warped source; 0 in the release


class PIRenderSection(Section):
    """PIRender as it is trained here."""

    fitted_with: ClassVar[BenchHead] = "head2"
    learning_rate: PIRenderRates
    generator: PIRenderSizes
    losses: PIRenderWeights
    warp_share: float = Field(ge=0.0, lt=1.0)  # share of the iterations that teach the warp alone
    starts_as_copy: bool  # initial weights: model/baselines/pirender/start.py, or as released
