"""How 3D-FOMM is taught here, in compact form (docs/cards/fomm3d.md says what was kept, changed and left out).

Source: zhanglonghao1992/One-Shot_Free-View_Neural_Talking_Head_Synthesis at 9511d25, modules/model.py and
config/vox-256.yaml.
"""

import torch
from torch import nn

from model.baselines.fomm3d.lesson_config import Fomm3dLosses, Fomm3dRates
from model.baselines.fomm3d.network import Fomm3d, Fomm3dInside
from model.baselines.fomm3d.pose import place
from model.baselines.fomm3d.priors import deformation_prior, head_pose_error, keypoint_prior
from model.baselines.shared.equivariance import Distortion, DistortionConfig, value_equivariance
from model.method.lesson import ParamGroup, StepLosses
from model.method.network import Batch
from model.training.discriminator import Discriminator
from model.training.losses import discriminator_hinge, feature_matching, generator_hinge, judged, mean_apart
from model.training.perceptual import Perceptual

# Signals of training alone: yaw, pitch and roll (B, 3) of the two frames, as `pose.rotation` takes them.
SOURCE_ANGLES, DRIVING_ANGLES = "source_angles_deg", "driving_angles_deg"


class Fomm3dLesson:
    """See `model.method.lesson.Lesson`. Batches carry a pose teacher's `SOURCE_ANGLES` and `DRIVING_ANGLES` as well.

    Args:
        network: what is trained.
        discriminator: its rival.
        perceptual: frozen.
        losses: weights of the losses.
        rates: first learning rates.
        distortion: how far driving frames are distorted for the equivariance.
    """

    def __init__(
        self, network: Fomm3d, discriminator: Discriminator, perceptual: Perceptual, losses: Fomm3dLosses,
        rates: Fomm3dRates, distortion: DistortionConfig,
    ) -> None:  # fmt: skip
        self.network = network
        self.rivals = nn.ModuleDict({"discriminator": discriminator})
        self.fixed = nn.ModuleDict({"perceptual": perceptual})
        self._losses, self._rates, self._distortion = losses, rates, distortion

    def players(self) -> dict[str, list[ParamGroup]]:
        """Generator, with the two networks that place keypoints, against discriminator."""
        network, rates = self.network, self._rates
        last = {id(parameter) for layer in last_layers(network) for parameter in layer.parameters()}

        def others(*parts: nn.Module) -> list[nn.Parameter]:
            return [parameter for part in parts for parameter in part.parameters() if id(parameter) not in last]

        return {
            "generator": [
                ParamGroup(others(network.generator), rates.generator),
                ParamGroup(others(network.kp_detector, network.he_estimator), rates.keypoints),
                ParamGroup([parameter for parameter in network.parameters() if id(parameter) in last], rates.last),
            ],
            "discriminator": [ParamGroup(list(self.rivals.parameters()), rates.discriminator)],
        }

    def losses(self, batch: Batch) -> StepLosses:
        """Animate the sources and measure image, keypoints and poses; one more look at a distorted driving frame."""
        made = self.network(batch.source, batch.signals)
        inside, driving = made.own, batch.signals["driving"]
        assert isinstance(inside, Fomm3dInside)
        discriminator, perceptual = self.rivals["discriminator"], self.fixed["perceptual"]
        assert isinstance(discriminator, Discriminator)
        assert isinstance(perceptual, Perceptual)
        real, shown = judged(discriminator, batch.target, made.image)
        distortion = Distortion.draw(self._distortion, driving)
        distorted_pose = self.network.he_estimator(distortion.image(driving, align_corners=False))
        distorted = place(inside.canonical, distorted_pose)
        terms = {
            "perceptual": perceptual(made.image, perceptual.target(batch.target))[0],
            "adversarial": generator_hinge(shown, len(batch.target))[0],
            "feature_matching": feature_matching(real, shown)[0],
            "pixel": mean_apart(made.image, batch.target)[0],
            "equivariance": value_equivariance(inside.driving.value, distorted.value, distortion),
            "keypoints": keypoint_prior(inside.driving.value),
            "head_pose": (
                head_pose_error(inside.source_pose, batch.signals[SOURCE_ANGLES])
                + head_pose_error(inside.driving_pose, batch.signals[DRIVING_ANGLES])
            )
            / 2,
            "deformation": deformation_prior(inside.driving_pose),
        }
        weighted = [getattr(self._losses, name) * value for name, value in terms.items()]
        return StepLosses(
            {"generator": torch.stack(weighted).sum(), "discriminator": discriminator_hinge(real, shown)[0]},
            {name: value.detach() for name, value in terms.items()},
        )


def last_layers(network: Fomm3d) -> list[nn.Module]:
    """The layers that say something without a norm behind them: image, mask, occlusion, keypoints, pose."""
    generator, estimator = network.generator, network.he_estimator
    motion = generator.dense_motion_network
    image = generator.decoder.conv_img if generator.spade else generator.final
    pose = (estimator.fc_roll, estimator.fc_pitch, estimator.fc_yaw, estimator.fc_t, estimator.fc_exp)
    return [image, motion.mask, motion.occlusion, network.kp_detector.kp, *pose]
