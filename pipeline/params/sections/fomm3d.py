"""The section of 3D-FOMM."""

from typing import Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from pipeline.params.sections.base import (
    AdversarialRates,
    DiscriminatorSection,
    Kernel,
    Section,
    SharedLosses,
    Weight,
)
from pipeline.params.sections.fomm import DistortionSection
from pipeline.params.strict import Strict


class Fomm3dRates(AdversarialRates):
    """3D-FOMM's: more for what places keypoints."""

    keypoints: PositiveFloat  # of keypoint detector and pose estimator
    last: PositiveFloat  # of the last layers of all, which no norm follows


class Fomm3dSizes(Strict):
    """Sizes of 3D-FOMM's networks (model/baselines/fomm3d/network.py, `Fomm3dConfig`)."""

    decoder: Literal["spade", "original"]
    kp_scale: float = Field(gt=0.0, le=1.0)  # of the image that the keypoint detector sees
    num_kp: PositiveInt
    depth: PositiveInt  # of the volumes; divides `largest`
    temperature: PositiveFloat
    kp_variance: PositiveFloat
    kp_width: PositiveInt
    kp_largest: PositiveInt
    kp_levels: PositiveInt
    pose_width: PositiveInt
    motion_width: PositiveInt
    motion_largest: PositiveInt
    motion_levels: PositiveInt
    compress: PositiveInt
    mask_kernel: Kernel  # of the convolution that says what moves each place
    width: PositiveInt
    largest: PositiveInt
    num_down: PositiveInt
    num_residual: PositiveInt
    spade_hidden: PositiveInt


class Fomm3dLosses(SharedLosses):
    """Weights of its losses (model/baselines/fomm3d/lesson_config.py)."""

    adversarial: float = Weight
    feature_matching: float = Weight
    pixel: float = Weight  # L1 on pixels; 0 as published
    equivariance: float = Weight
    keypoints: float = Weight
    head_pose: float = Weight  # of an error in degrees
    deformation: float = Weight


class Fomm3dSection(Section):
    """3D-FOMM as it is trained here."""

    learning_rate: Fomm3dRates
    generator: Fomm3dSizes
    start: Literal["published", "near_source"]  # near_source (ours): starts as a blurred copy of the moved source
    discriminator: DiscriminatorSection
    losses: Fomm3dLosses
    distortion: DistortionSection

    @model_validator(mode="after")
    def _volume_is_whole(self) -> Self:
        sizes = self.generator
        if sizes.largest % sizes.depth:
            raise ValueError(
                f"generator.depth {sizes.depth} does not divide generator.largest {sizes.largest}: choose a divisor"
            )
        return self

    @model_validator(mode="after")
    def _can_start_so(self) -> Self:
        sizes, needed = self.generator, 6
        if self.start == "near_source" and (
            sizes.decoder != "original" or min(sizes.width, sizes.largest // sizes.depth) < needed
        ):
            raise ValueError(
                f"start near_source needs generator.decoder original, and generator.width and largest / depth of "
                f"{needed} or more: choose these, or start published"
            )
        return self
