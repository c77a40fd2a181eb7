"""The section of the PWM: all that is the progressive warping modules' own."""

from typing import Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from model.pwm.config import check_output
from pipeline.params.sections.base import AdversarialRates, DiscriminatorSection, Kernel, LossSection, Section
from pipeline.params.strict import Strict


class PwmRates(AdversarialRates):
    """One more for the table of neural codes."""

    codes: PositiveFloat


class GeneratorSection(Strict):
    """Sizes of the encoder and the progressive warping modules (model/pwm/generator.py)."""

    channels: list[PositiveInt] = Field(min_length=2)  # of levels 1 (coarsest) to L (the image's resolution)
    outer_kernel: Kernel  # of the first and the last convolution
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


class GuidanceSection(Strict):
    """How guidance is rendered (model/pwm/guidance.py)."""

    render_px: PositiveInt
    code_dim: PositiveInt
    code_std: PositiveFloat
    code_frequency: PositiveFloat


class PwmSection(Section):
    """All that is the progressive warping modules' own."""

    learning_rate: PwmRates
    generator: GeneratorSection
    discriminator: DiscriminatorSection
    losses: LossSection
    guidance: GuidanceSection
