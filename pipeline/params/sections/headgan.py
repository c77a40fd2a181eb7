"""The section of HeadGAN."""

from pydantic import PositiveInt

from pipeline.params.sections.base import AdversarialRates, DiscriminatorSection, LossSection, Section
from pipeline.params.strict import Strict


class HeadGanSizes(Strict):
    """Sizes of HeadGAN's network (model/baselines/headgan/network.py)."""

    bottom_px: PositiveInt  # side of its lowest level
    channels: PositiveInt  # of the highest; each level down has four times as many
    hidden: PositiveInt  # between a condition and the scales and shifts made of it
    smoothing: PositiveInt  # its pictures of the head are drawn at so many times their side, and averaged


class HeadGanSection(Section):
    """HeadGAN as it is trained here."""

    learning_rate: AdversarialRates
    generator: HeadGanSizes
    discriminator: DiscriminatorSection
    losses: LossSection
