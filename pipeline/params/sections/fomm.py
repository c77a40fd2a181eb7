"""The section of FOMM."""

from typing import Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from pipeline.params.sections.base import LearningRates, Section, SharedLosses, Weight
from pipeline.params.strict import Strict


class FommRates(LearningRates):
    """`generator` is also the motion network's."""

    keypoints: PositiveFloat
    last: PositiveFloat  # of the last convolutions of generator, motion network and keypoint detector


class FommSizes(Strict):
    """Sizes of FOMM's network (model/baselines/fomm/network.py); widths double at each level, up to the largest."""

    num_kp: PositiveInt
    temperature: PositiveFloat  # of the softmax over a keypoint's map
    scale: float = Field(gt=0.0, le=1.0)  # of the images that keypoints and motion are found in
    kp_width: PositiveInt
    kp_largest: PositiveInt
    kp_levels: PositiveInt
    motion_width: PositiveInt
    motion_largest: PositiveInt
    motion_levels: PositiveInt
    width: PositiveInt
    largest: PositiveInt
    num_down: int = Field(ge=0)  # times that the generator halves the image before it warps features
    num_residual: int = Field(ge=0)


class FommLosses(SharedLosses):
    """Weights of its losses (model/baselines/fomm/lesson.py)."""

    pixel: float = Weight  # L1 on pixels; not published
    warped: float = Weight  # factor on both losses of images for the warped source; not published
    equivariance_value: float = Weight
    equivariance_jacobian: float = Weight


class DistortionSection(Strict):
    """How driving frames are distorted for the equivariance (model/baselines/shared/equivariance.py)."""

    sigma_affine: float = Field(ge=0.0)
    sigma_tps: float = Field(ge=0.0)
    points_tps: int = Field(ge=2)


class FommSection(Section):
    """FOMM as it is trained here."""

    learning_rate: FommRates
    generator: FommSizes
    start: Literal["published", "near_source"]  # near_source (ours): the image starts as the warped source
    losses: FommLosses
    distortion: DistortionSection

    @model_validator(mode="after")
    def _can_start_so(self) -> Self:
        sizes = self.generator
        if self.start == "near_source" and (sizes.num_down or sizes.width < 6):
            raise ValueError(
                f"start near_source needs generator.num_down 0 and generator.width 6 or more, not {sizes.num_down} "
                f"and {sizes.width}: choose these, or start published"
            )
        return self
