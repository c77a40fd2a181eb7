"""What the PWM's section says, in the form that its networks and losses take it."""

from model.pwm.config import GeneratorConfig, GuidanceConfig
from model.pwm.lesson_config import Rates
from model.training.adversarial import LossConfig
from model.training.discriminator import DiscriminatorConfig
from pipeline.params.sections.pwm import PwmSection


def guidance_config(network: PwmSection, name: str) -> GuidanceConfig:
    """What `model.pwm.guidance.Guidance` needs, for one guidance name."""
    return GuidanceConfig(name=name, **network.guidance.model_dump())


def generator_config(network: PwmSection) -> GeneratorConfig:
    """What `model.pwm.generator.Generator` needs."""
    return GeneratorConfig(**network.generator.model_dump())


def discriminator_config(network: PwmSection) -> DiscriminatorConfig:
    """What `model.training.discriminator.Discriminator` needs."""
    return DiscriminatorConfig(**network.discriminator.model_dump())


def loss_config(network: PwmSection) -> LossConfig:
    """What `model.pwm.lesson` weighs losses by."""
    return LossConfig(**network.losses.model_dump())


def first_rates(network: PwmSection) -> Rates:
    """Learning rates before any drop."""
    rates = network.learning_rate
    return Rates(generator=rates.generator, discriminator=rates.discriminator, codes=rates.codes)
