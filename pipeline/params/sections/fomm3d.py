"""The section of 3D-FOMM."""

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt

from pipeline.params.sections.base import AdversarialRates, DiscriminatorSection, Section, SharedLosses, Weight
from pipeline.params.strict import Strict


class Fomm3dRates(AdversarialRates):
    """3D-FOMM's: one more for keypoint detector and pose estimator."""

    keypoints: PositiveFloat


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


class DistortionSection(Strict):
    """How driving frames are distorted for the equivariance (model/baselines/shared/equivariance.py)."""

    sigma_affine: float = Field(ge=0.0)
    sigma_tps: float = Field(ge=0.0)
    points_tps: int = Field(ge=2)


class Fomm3dSection(Section):
    """3D-FOMM as it is trained here."""

    learning_rate: Fomm3dRates
    generator: Fomm3dSizes
    discriminator: DiscriminatorSection
    losses: Fomm3dLosses
    distortion: DistortionSection
