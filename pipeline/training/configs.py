"""What a recipe and a method's section say, in the form that the training loop takes it."""

from model.training.config import TrainConfig
from pipeline.params.recipe import Recipe
from pipeline.params.sections.base import Section


def train_config(recipe: Recipe, network: Section) -> TrainConfig:
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
