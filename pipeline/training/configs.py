"""What a recipe says, in the form that networks, losses and the training loop take it."""

from model.pwm.config import GeneratorConfig, GuidanceConfig
from model.pwm.lesson_config import DiscriminatorConfig, LossConfig, Rates
from model.training.config import TrainConfig
from pipeline.params.recipe import Recipe


def guidance_config(recipe: Recipe, name: str) -> GuidanceConfig:
    """What `model.pwm.guidance.Guidance` needs, for one guidance name."""
    return GuidanceConfig(name=name, **recipe.guidance.model_dump())


def generator_config(recipe: Recipe) -> GeneratorConfig:
    """What `model.pwm.generator.Generator` needs."""
    return GeneratorConfig(**recipe.generator.model_dump())


def discriminator_config(recipe: Recipe) -> DiscriminatorConfig:
    """What `model.pwm.discriminator.Discriminator` needs."""
    return DiscriminatorConfig(**recipe.discriminator.model_dump())


def loss_config(recipe: Recipe) -> LossConfig:
    """What `model.pwm.lesson` weighs losses by."""
    return LossConfig(**recipe.losses.model_dump())


def first_rates(recipe: Recipe) -> Rates:
    """Learning rates before any drop."""
    rates = recipe.learning_rate
    return Rates(generator=rates.generator, discriminator=rates.discriminator, codes=rates.codes)


def train_config(recipe: Recipe) -> TrainConfig:
    """What `model.training.loop.train` needs."""
    rates = recipe.learning_rate
    return TrainConfig(
        iterations=recipe.iterations,
        batch_size=recipe.batch_size,
        seed=recipe.seed,
        lr_drop_steps=tuple(rates.drop_steps),
        lr_drop_factor=rates.drop_factor,
        betas=rates.betas,
        **recipe.run.model_dump(exclude={"cpu_processes", "cpu_threads"}),
    )
