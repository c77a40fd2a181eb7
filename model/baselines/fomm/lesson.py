"""How FOMM is taught here (paper section 3.3; options of vox-256.yaml at c027484, all on its card, docs/cards/fomm.md).

Kept: the perceptual loss on a pyramid of the reconstruction, and the equivariance of keypoints and of their local maps.
The published configuration of the tables, vox-256, has no adversarial loss (generator_gan is 0). No supervision beside
the pairs.
"""

from dataclasses import dataclass

import torch
from torch import nn

from model.baselines.fomm.network import Fomm, FommInside
from model.baselines.shared.equivariance import (
    Distortion,
    DistortionConfig,
    jacobian_equivariance,
    value_equivariance,
)
from model.method.lesson import ParamGroup, StepLosses
from model.method.network import Batch
from model.training.losses import mean_apart
from model.training.perceptual import Perceptual


@dataclass(frozen=True, kw_only=True, slots=True)
class FommRates:
    """Adam's steps before any drop.

    Attributes:
        generator: of the generator with its motion network.
        keypoints: of the keypoint detector.
        last: of the last convolutions of all three, whose thousands of inputs go to an image, a map or a softmax with
            no norm between: at the others' rate one step moves what they say as far as all of training has to.
    """

    generator: float
    keypoints: float
    last: float


@dataclass(frozen=True, kw_only=True, slots=True)
class FommLosses:
    """Weights of the losses.

    Attributes:
        perceptual: on the image, summed over layers and the scales of the pyramid.
        pixel: L1 on the image's pixels; not published.
        warped: factor on both of these for the warped source; not published.
        equivariance_value: on keypoints of the distorted driving frame.
        equivariance_jacobian: on their local maps.
    """

    perceptual: float
    pixel: float
    warped: float
    equivariance_value: float
    equivariance_jacobian: float


class FommLesson:
    """See `model.method.lesson.Lesson`.

    Args:
        network: what is trained.
        perceptual: frozen.
        losses: weights of the losses.
        distortion: how far the driving frames are distorted to see whether keypoints follow.
        rates: first learning rates.
    """

    def __init__(
        self, network: Fomm, perceptual: Perceptual, losses: FommLosses, distortion: DistortionConfig, rates: FommRates
    ) -> None:
        self.network = network
        self.rivals = nn.ModuleDict()
        self.fixed = nn.ModuleDict({"perceptual": perceptual})
        self._losses, self._distortion, self._rates = losses, distortion, rates

    def players(self) -> dict[str, list[ParamGroup]]:
        """One player: generator and motion network, keypoint detector, and the last convolutions of all three."""
        generator, detector = self.network.generator, self.network.kp_detector
        motion = generator.dense_motion_network
        ends = (generator.final, motion.mask, motion.occlusion, detector.kp, detector.jacobian)
        last = [parameter for end in ends for parameter in end.parameters()]
        apart = {id(parameter) for parameter in last}

        def others(part: nn.Module) -> list[nn.Parameter]:
            return [parameter for parameter in part.parameters() if id(parameter) not in apart]

        rates = self._rates
        groups = (others(generator), rates.generator), (others(detector), rates.keypoints), (last, rates.last)
        return {"generator": [ParamGroup(parameters, rate) for parameters, rate in groups]}

    def losses(self, batch: Batch) -> StepLosses:
        """Animate the sources, and find the keypoints of the distorted driving frames."""
        weights, perceptual = self._losses, self.fixed["perceptual"]
        assert isinstance(perceptual, Perceptual)
        made = self.network(batch.source, batch.signals)
        inside = made.own
        assert isinstance(inside, FommInside)
        shown = [made.image, inside.deformed] if weights.warped else [made.image]
        features = perceptual(torch.cat(shown), perceptual.target(batch.target))
        terms: dict[str, torch.Tensor] = {}
        total = batch.target.new_zeros(())
        for suffix, factor, img, feature in zip(("", "_warped"), (1.0, weights.warped), shown, features, strict=False):
            terms |= {f"perceptual{suffix}": feature, f"pixel{suffix}": mean_apart(img, batch.target)[0]}
            total = total + factor * (weights.perceptual * feature + weights.pixel * terms[f"pixel{suffix}"])
        terms |= self._equivariance(batch.signals["driving"], inside)
        total = total + weights.equivariance_value * terms["equivariance_value"]
        total = total + weights.equivariance_jacobian * terms["equivariance_jacobian"]
        return StepLosses({"generator": total}, {name: value.detach() for name, value in terms.items()})

    def _equivariance(self, driving: torch.Tensor, inside: FommInside) -> dict[str, torch.Tensor]:
        distortion = Distortion.draw(self._distortion, driving)
        found = self.network.kp_detector(distortion.image(driving, self.network.config.align_corners))
        assert inside.driving.jacobian is not None
        assert found.jacobian is not None
        return {
            "equivariance_value": value_equivariance(inside.driving.value, found.value, distortion),
            "equivariance_jacobian": jacobian_equivariance(
                inside.driving.jacobian, found.jacobian, found.value, distortion
            ),
        }
