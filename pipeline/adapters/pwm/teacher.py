"""How a PWM row is trained: its guidance is its variant."""

from torch import nn

from model.heads.head import HeadModel
from model.method.lesson import Lesson
from model.pwm.animator import Animator, AnimatorConfig
from model.pwm.lesson import PwmLesson
from model.training.discriminator import Discriminator
from model.training.perceptual import Perceptual
from pipeline.adapters.pwm.configs import (
    discriminator_config,
    first_rates,
    generator_config,
    guidance_config,
    loss_config,
)
from pipeline.params.recipe import Recipe
from pipeline.params.sections.pwm import PwmSection


class PwmTeacher:
    """See `pipeline.methods.teaching.Teacher`; `variant` is a key of `model.pwm.config.GUIDANCE_PARTS`."""

    def build(self, recipe: Recipe, section: PwmSection, variant: str, head: HeadModel) -> nn.Module:
        """An animator; the size of its images follows from its pyramid."""
        config = AnimatorConfig(guidance=guidance_config(section, variant), generator=generator_config(section))
        return Animator(head, config)

    def lesson(self, network: nn.Module, section: PwmSection, perceptual: Perceptual) -> Lesson:
        """Generator against discriminator (paper section 3.4)."""
        assert isinstance(network, Animator)  # as `build` makes it
        discriminator = Discriminator(discriminator_config(section))
        return PwmLesson(network, discriminator, perceptual, loss_config(section), first_rates(section))


TEACHER = PwmTeacher()
