"""What each method has of its own under each recipe (`networks.<recipe>.<method>` in params.yaml).

What all methods share is the recipe's (`pipeline.params.recipe`). A row is trained by the two together, and depends on
no other method's section.
"""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from model.pwm.config import check_output
from pipeline.params.strict import Strict

Weight = Field(ge=0.0)


class LearningRates(Strict):
    """Adam's steps: each starts at its value and is multiplied by `drop_factor` at every drop."""

    generator: PositiveFloat
    discriminator: PositiveFloat
    drop_steps: list[PositiveInt]
    drop_factor: PositiveFloat
    betas: tuple[float, float]


class PwmRates(LearningRates):
    """The PWM's: one more for the table of neural codes."""

    codes: PositiveFloat


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


class GuidanceSection(Strict):
    """How guidance is rendered (model/pwm/guidance.py)."""

    render_px: PositiveInt
    code_dim: PositiveInt
    code_std: PositiveFloat
    code_frequency: PositiveFloat


class Section(Strict):
    """What the section of every method has."""

    learning_rate: LearningRates
    losses: SharedLosses
    perceptual: PerceptualSection


class PwmSection(Section):
    """All that is the progressive warping modules' own."""

    learning_rate: PwmRates
    generator: GeneratorSection
    discriminator: DiscriminatorSection
    losses: LossSection
    guidance: GuidanceSection


class HeadGanSizes(Strict):
    """Sizes of HeadGAN's network (model/baselines/headgan/network.py)."""

    bottom_px: PositiveInt  # side of its lowest level
    channels: PositiveInt  # of the highest; each level down has four times as many
    hidden: PositiveInt  # between a condition and the scales and shifts made of it


class HeadGanSection(Section):
    """HeadGAN as it is trained here."""

    generator: HeadGanSizes
    discriminator: DiscriminatorSection
    losses: LossSection


class Networks(Strict):
    """The sections of all methods that are trained under one recipe: one field a method, typed by its section."""

    pwm: PwmSection
    headgan: HeadGanSection

    def of(self, method: str) -> Section | None:
        """The section of a method; None where it is not trained here."""
        return getattr(self, method, None)


def parted(recipe: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part a recipe that may still be in one piece, as it was before `networks` had a part of it.

    Returns:
        What is the recipe's, and what now stands in `PwmSection`.
    """
    own = PwmSection.model_fields
    return ({k: v for k, v in recipe.items() if k not in own}, {k: v for k, v in recipe.items() if k in own})


def check_places(recipes: Any) -> None:
    """Refuse keys of recipes that stand in `networks` now.

    Args:
        recipes: what params.yaml has under `recipes`, as it was read.

    Raises:
        ValueError: there are such keys; the message has each with the name that it has now.
    """
    found = recipes.items() if isinstance(recipes, Mapping) else ()
    old = [(name, key) for name, recipe in found if isinstance(recipe, Mapping) for key in parted(recipe)[1]]
    if old:
        moves = (f"recipes.{name}.{key} now stands in networks.{name}.pwm.{key}" for name, key in old)
        raise ValueError(f"{', '.join(moves)}: move {'it' if len(old) == 1 else 'them'}")
