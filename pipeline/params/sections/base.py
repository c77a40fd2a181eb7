"""What the sections of several methods have in common (`networks.<recipe>.<method>` in params.yaml)."""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt
from pydantic_core import PydanticCustomError

from pipeline.params.strict import Strict

Weight = Field(ge=0.0)

BenchHead = Literal["head", "head2"]  # keys of `bench` that name heads


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise PydanticCustomError("odd", "a convolution that keeps the size has an odd side")
    return value


Kernel = Annotated[PositiveInt, AfterValidator(_odd)]  # side of a convolution that keeps the size


class LearningRates(Strict):
    """Adam's steps: each starts at its value and is multiplied by `drop_factor` at every drop."""

    generator: PositiveFloat
    drop_steps: list[PositiveInt]
    drop_factor: PositiveFloat
    betas: tuple[float, float]


class AdversarialRates(LearningRates):
    """With those of a rival."""

    discriminator: PositiveFloat


class DiscriminatorSection(Strict):
    """Sizes of the multi-scale Patch-GAN (model/training/discriminator.py)."""

    scales: PositiveInt
    layers: PositiveInt
    width: PositiveInt
    max_width: PositiveInt


class SharedLosses(Strict):
    """Weights of losses that every method has."""

    perceptual: float = Weight
    perceptual_scales: PositiveInt


class LossSection(SharedLosses):
    """Weights of the losses of a generator that warps and paints (model/training/adversarial.py)."""

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


class Section(Strict):
    """What the section of every method has.

    Attributes:
        fitted_with: which of the benchmark's heads the method is trained with.
        needs_parts: whether the method's lesson learns from part labels of training frames (`Batch.parts`).
    """

    fitted_with: ClassVar[BenchHead] = "head"
    needs_parts: ClassVar[bool] = False
    learning_rate: LearningRates
    losses: SharedLosses
    perceptual: PerceptualSection
