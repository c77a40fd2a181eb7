"""A recipe: what a training run shares with those of all other methods (`recipes.<name>` in params.yaml).

What is a method's own stands beside it (`pipeline.params.networks`). A trained row is `recipe.head.guidance`, so that
the rows of one table share all that stands here.
"""

from typing import Any, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from model.pwm.config import check_guidance
from pipeline.params.strict import Strict


class AugmentSection(Strict):
    """What is done to training pairs (pipeline/training/augment.py)."""

    colour: float = Field(ge=0.0, le=0.5)  # largest logarithm of exposure and of each channel's gain
    shift_ndc: float = Field(ge=0.0, le=0.5)  # of each frame's crop, in x and in y
    log_scale: float = Field(ge=0.0, le=0.5)  # of each frame's crop


class RunSection(Strict):
    """Bookkeeping and arithmetic of the run."""

    log_every: PositiveInt
    checkpoint_every: PositiveInt
    precision: Literal["float32", "bfloat16"]
    cpu_processes: PositiveInt  # that share each batch where there is no GPU (model/training/replicas.py)
    cpu_threads: PositiveInt  # of torch in each process where there is no GPU; their number changes last digits
    channels_last: bool
    ema: float | None = Field(gt=0.0, lt=1.0)  # decay of the weights' moving average; null in the paper: none is kept


class Recipe(Strict):
    """One way to train, for any method, head and guidance."""

    image_px: PositiveInt
    iterations: PositiveInt
    batch_size: PositiveInt
    seed: int
    augment: AugmentSection
    run: RunSection

    def of_seed(self, seed: int) -> Self:
        """The same recipe with another seed."""
        return self.model_copy(update={"seed": seed})

    def recorded(self) -> dict[str, Any]:
        """The recipe as models and studies record it: a setting that is off and that older records lack is left out."""
        return self.model_dump(mode="json", exclude={"run": {"ema"}} if self.run.ema is None else None)

    def seeds(self, count: int) -> list[int]:
        """The seeds that a row is trained with: this recipe's own and those after it."""
        return [self.seed + number for number in range(count)]

    @model_validator(mode="after")
    def _shares_are_equal(self) -> Self:
        if self.batch_size % self.run.cpu_processes:
            raise ValueError(
                f"run.cpu_processes: {self.run.cpu_processes} processes cannot take equal shares of "
                f"batch_size {self.batch_size}; choose a divisor"
            )
        return self


def split_row(row: str) -> tuple[str, str, str]:
    """Split a row key `recipe.head.guidance` and check the guidance.

    Raises:
        ValueError: the key has another form, or its guidance is unknown; the message lists the names.
    """
    parts = row.split(".")
    if len(parts) != 3 or not all(parts):
        raise ValueError(f"row {row!r} is not of the form recipe.head.guidance, such as toy64.puppet.geom_disp")
    return parts[0], parts[1], check_guidance(parts[2])
