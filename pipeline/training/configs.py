"""What a recipe and a network's section say, in the form that networks, losses and the training loop take it."""

from model.pwm.config import GeneratorConfig, GuidanceConfig
from model.pwm.lesson_config import DiscriminatorConfig, LossConfig, Rates
from model.training.config import TrainConfig
from pipeline.params.networks import PwmSection
from pipeline.params.recipe import Recipe


def guidance_config(network: PwmSection, name: str) -> GuidanceConfig:
    """What `model.pwm.guidance.Guidance` needs, for one guidance name."""
    return GuidanceConfig(name=name, **network.guidance.model_dump())


def generator_config(network: PwmSection) -> GeneratorConfig:
    """What `model.pwm.generator.Generator` needs."""
    return GeneratorConfig(**network.generator.model_dump())


def discriminator_config(network: PwmSection) -> DiscriminatorConfig:
    """What `model.pwm.discriminator.Discriminator` needs."""
    return DiscriminatorConfig(**network.discriminator.model_dump())


def loss_config(network: PwmSection) -> LossConfig:
    """What `model.pwm.lesson` weighs losses by."""
    return LossConfig(**network.losses.model_dump())


def first_rates(network: PwmSection) -> Rates:
    """Learning rates before any drop."""
    rates = network.learning_rate
    return Rates(generator=rates.generator, discriminator=rates.discriminator, codes=rates.codes)


def train_config(recipe: Recipe, network: PwmSection) -> TrainConfig:
    """What `model.training.loop.train` needs."""
    rates = network.learning_rate
    return TrainConfig(
        iterations=recipe.iterations,
        batch_size=recipe.batch_size,
        seed=recipe.seed,
        lr_drop_steps=tuple(rates.drop_steps),
        lr_drop_factor=rates.drop_factor,
        betas=rates.betas,
        **recipe.run.model_dump(exclude={"cpu_processes", "cpu_threads"}),
    )
