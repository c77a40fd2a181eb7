"""What a recipe says, in the form that networks, losses and the training loop take it."""

from model.pwm.config import GeneratorConfig, GuidanceConfig
from model.training.config import DiscriminatorConfig, LossConfig, TrainConfig
from pipeline.params.recipe import Recipe


def guidance_config(recipe: Recipe, name: str) -> GuidanceConfig:
    """What `model.pwm.guidance.Guidance` needs, for one guidance name."""
    return GuidanceConfig(name=name, **recipe.guidance.model_dump())


def generator_config(recipe: Recipe) -> GeneratorConfig:
    """What `model.pwm.generator.Generator` needs."""
    return GeneratorConfig(**recipe.generator.model_dump())


def discriminator_config(recipe: Recipe) -> DiscriminatorConfig:
    """What `model.training.discriminator.Discriminator` needs."""
    return DiscriminatorConfig(**recipe.discriminator.model_dump())


def loss_config(recipe: Recipe) -> LossConfig:
    """What `model.training.losses` needs."""
    return LossConfig(**recipe.losses.model_dump())


def train_config(recipe: Recipe) -> TrainConfig:
    """What `model.training.loop.fit` needs."""
    rates = recipe.learning_rate
    return TrainConfig(
        iterations=recipe.iterations,
        batch_size=recipe.batch_size,
        seed=recipe.seed,
        lr_generator=rates.generator,
        lr_discriminator=rates.discriminator,
        lr_codes=rates.codes,
        lr_drop_steps=tuple(rates.drop_steps),
        lr_drop_factor=rates.drop_factor,
        betas=rates.betas,
        **recipe.run.model_dump(exclude={"cpu_processes", "cpu_threads"}),
    )
