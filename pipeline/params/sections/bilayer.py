"""The section of Bi-Layer."""

from typing import ClassVar

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from pipeline.params.sections.base import AdversarialRates, Section, SharedLosses, Weight
from pipeline.params.strict import Strict


class BiLayerSizes(Strict):
    """Sizes of Bi-Layer's network (model/baselines/bilayer/network.py)."""

    embedding_px: PositiveInt  # side of the identity's embeddings
    embedded_channels: tuple[PositiveInt, PositiveInt]  # narrowest and widest, of embedder and texture
    inference_channels: tuple[PositiveInt, PositiveInt]  # the same of the inference generator
    pose_channels: PositiveInt
    enhancer_channels: tuple[PositiveInt, PositiveInt]  # at full and at half size
    enhancer_blocks: NonNegativeInt  # at half size
    enhancer_steps: NonNegativeInt  # updates of the texture, each of which takes a gradient
    background: float | None = Field(ge=0.0, le=1.0)  # where no person is seen; null: the layers make the whole frame


class BiLayerRival(Strict):
    """Sizes of its discriminator (model/baselines/bilayer/discriminator.py)."""

    width: PositiveInt  # channels of the first convolution; each halving doubles them
    max_width: PositiveInt
    halvings: PositiveInt  # of the size, before patches are judged
    blocks: PositiveInt  # residual blocks in all


class BiLayerLossSection(SharedLosses):
    """Weights of its losses (model/baselines/bilayer/lesson.py)."""

    adversarial: float = Weight
    feature_matching: float = Weight
    low: float = Weight  # L1 of the low layer
    pixel: float = Weight  # L1 of the image; 0 as published
    segmentation: float = Weight
    warping: float = Weight  # mean shift of where the texture is sampled, at the first step
    warping_until: PositiveFloat  # share of the run over which that weight falls to 0
    enhancer_from: float | None = Field(ge=0.0, lt=1.0)  # share of the run after which it learns alone; null: with all


class BiLayerSection(Section):
    """Bi-Layer as it is trained here."""

    needs_parts: ClassVar[bool] = True
    learning_rate: AdversarialRates
    generator: BiLayerSizes
    quiet_start: float | None = Field(gt=0.0)  # scale of both generators' last norms at first; null: torch's weights
    discriminator: BiLayerRival
    losses: BiLayerLossSection
