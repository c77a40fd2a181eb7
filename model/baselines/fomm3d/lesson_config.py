"""Weights and rates of 3D-FOMM's lesson."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Fomm3dRates:
    """Adam's steps before any drop.

    Attributes:
        generator: of the generator.
        keypoints: of keypoint detector and pose estimator.
        last: of the last layers of all three, which no norm follows: steps add up over their inputs, 9,000 at the
            mask's, and move what they say in one step as far as all of training has to.
        discriminator: of the rival.
    """

    generator: float
    keypoints: float
    last: float
    discriminator: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Fomm3dLosses:
    """Weights of the losses.

    Attributes:
        perceptual: of the perceptual loss.
        adversarial: of the generator's hinge loss.
        feature_matching: of the discriminator's feature matching.
        pixel: of an L1 loss on pixels (not published).
        equivariance: of the keypoints' equivariance in the image's plane.
        keypoints: of the keypoint prior.
        head_pose: of the head pose's error, in degrees.
        deformation: of the expression's offsets.
    """

    perceptual: float
    adversarial: float
    feature_matching: float
    pixel: float
    equivariance: float
    keypoints: float
    head_pose: float
    deformation: float
