"""How 3D-FOMM is trained here: the fitted head's rotation is what the published pose network's verdict was."""

import torch
from torch import Tensor, nn

from model.baselines.fomm3d.lesson import DRIVING_ANGLES, SOURCE_ANGLES, Fomm3dLesson
from model.baselines.fomm3d.lesson_config import Fomm3dLosses, Fomm3dRates
from model.baselines.fomm3d.network import Fomm3d, Fomm3dConfig
from model.baselines.fomm3d.pose import angles_deg
from model.baselines.fomm3d.start import start_near_source
from model.baselines.shared.equivariance import DistortionConfig
from model.heads.head import HeadModel
from model.method.lesson import Lesson
from model.method.network import Signals
from model.training.discriminator import Discriminator, DiscriminatorConfig
from model.training.perceptual import Perceptual
from pipeline.methods.protocol import View
from pipeline.params.recipe import Recipe
from pipeline.params.sections.fomm3d import Fomm3dSection

# Heads have y up and z towards the viewer, keypoints y down and z away: half a turn about x.
HEAD_TO_KEYPOINTS = torch.tensor([1.0, -1.0, -1.0])


class Fomm3dTeacher:
    """See `pipeline.methods.teaching.Teacher` and `Supervisor`."""

    def build(self, recipe: Recipe, section: Fomm3dSection, variant: str, head: HeadModel) -> nn.Module:
        """The network for the recipe's images, with the first weights that the section names."""
        network = Fomm3d(Fomm3dConfig(image_px=recipe.image_px, **section.generator.model_dump()))
        if section.start == "near_source":
            start_near_source(network)
        return network

    def lesson(self, network: nn.Module, section: Fomm3dSection, perceptual: Perceptual) -> Lesson:
        """Generator against discriminator, and the priors of keypoints and poses."""
        assert isinstance(network, Fomm3d)  # as `build` makes it
        rates = section.learning_rate
        return Fomm3dLesson(
            network,
            Discriminator(DiscriminatorConfig(**section.discriminator.model_dump())),
            perceptual,
            Fomm3dLosses(**section.losses.model_dump(exclude={"perceptual_scales"})),
            Fomm3dRates(
                generator=rates.generator,
                keypoints=rates.keypoints,
                last=rates.last,
                discriminator=rates.discriminator,
            ),
            DistortionConfig(**section.distortion.model_dump()),
        )

    def supervise(self, source: View, driving: View, head: HeadModel) -> Signals:
        """Angles of the fitted heads' rotations, in the keypoints' frame."""
        frames = {SOURCE_ANGLES: source, DRIVING_ANGLES: driving}
        return {name: head_angles_deg(head.head_rotation(view.fit().pose)) for name, view in frames.items()}


def head_angles_deg(rotation: Tensor) -> Tensor:
    """Yaw, pitch and roll (B, 3) in degrees, as 3D-FOMM counts them, of rotations (B, 3, 3) in the head's frame."""
    flip = HEAD_TO_KEYPOINTS.to(rotation)
    return angles_deg(flip[:, None] * rotation * flip)


TEACHER = Fomm3dTeacher()
