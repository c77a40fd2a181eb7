"""A recipe: everything of a training run but its head and its guidance (`recipes.<name>` in params.yaml).

A trained row is `recipe.head.guidance`, so that the rows of one table share all that stands here.
"""

from typing import Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from model.pwm.config import check_guidance, check_output
from pipeline.params.strict import Strict

Weight = Field(ge=0.0)


class LearningRates(Strict):
    """Adam's steps: each starts at its value and is multiplied by `drop_factor` at every drop."""

    generator: PositiveFloat
    discriminator: PositiveFloat
    codes: PositiveFloat  # of the table of neural codes
    drop_steps: list[PositiveInt]
    drop_factor: PositiveFloat
    betas: tuple[float, float]


class GeneratorSection(Strict):
    """Sizes of the encoder and the progressive warping modules (model/pwm/generator.py)."""

    channels: list[PositiveInt] = Field(min_length=2)  # of levels 1 (coarsest) to L (the image's resolution)
    outer_kernel: PositiveInt  # of the first and the last convolution; odd
    spade_hidden: PositiveInt
    output: Literal["paper", "warped_source"]  # what makes the image (model/pwm/output.py)
    last_disp: Literal["own", "upsampled"]  # whether level L predicts a displacement or takes over level L-1's
    disp_refines: bool  # whether a level adds to the coarser level's displacement; false in the paper
    disp_gain: float  # ndc per unit of a displacement convolution before training
    image_gain: PositiveFloat  # logits per unit of the last convolution before training
    disp_scale: PositiveFloat  # factor on a rendered displacement where it modulates features
    nmfc_scale: PositiveFloat  # factor on NMFC, taken about their mean, wherever features are made of them
    nmfc_centre: Literal["by_coverage", "in_full"]  # how much of their mean half-covered pixels lose

    @model_validator(mode="after")
    def _output_can_do_it(self) -> Self:
        check_output(self.output, self.last_disp, self.image_gain)
        return self


class DiscriminatorSection(Strict):
    """Sizes of the multi-scale Patch-GAN (model/pwm/discriminator.py)."""

    scales: PositiveInt
    layers: PositiveInt
    width: PositiveInt
    max_width: PositiveInt


class LossSection(Strict):
    """Weights of the losses (model/pwm/lesson.py)."""

    perceptual: float = Weight
    perceptual_scales: PositiveInt
    adversarial: float = Weight
    feature_matching: float = Weight
    pixel: float = Weight  # L1 on pixels; 0 in the paper
    warped: float = Weight  # factor on all of them for the warped source I_w; 1 in the paper


class PerceptualSection(Strict):
    """The network whose features the perceptual loss compares (model/training/perceptual.py).

    `vgg19_first` and `vgg19_last` read the first or the last convolution of each block.
    """

    backbone: Literal["vgg19_first", "vgg19_last", "puppet_tracker", "efficientnet_lite0"]
    weights: str  # name of an asset (vgg19, efficientnet_lite0), or path of a file of the project
    blocks: PositiveInt  # how many blocks are compared, finest first; 5 in the paper


class GuidanceSection(Strict):
    """How guidance is rendered (model/pwm/guidance.py)."""

    render_px: PositiveInt
    code_dim: PositiveInt
    code_std: PositiveFloat
    code_frequency: PositiveFloat


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


class Recipe(Strict):
    """One way to train, for any head and guidance."""

    image_px: PositiveInt
    iterations: PositiveInt
    batch_size: PositiveInt
    seed: int
    learning_rate: LearningRates
    generator: GeneratorSection
    discriminator: DiscriminatorSection
    losses: LossSection
    perceptual: PerceptualSection
    guidance: GuidanceSection
    augment: AugmentSection
    run: RunSection

    def of_seed(self, seed: int) -> Self:
        """The same recipe with another seed."""
        return self.model_copy(update={"seed": seed})

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
