"""What a model and its training are made of: plain frozen records, without defaults.

Every number here comes from params.yaml (pipeline/recipe.py types it there); what the paper leaves
open is explained under `Choice:` where the number is used.
"""

from dataclasses import dataclass

GUIDANCE_PARTS: dict[str, tuple[str, ...]] = {  # guidance name -> rendered channels, in this order
    "geom_disp": ("disp",),
    "neural_codes": ("codes",),
    "nmfc": ("nmfc",),
    "geom_disp+neural_codes": ("disp", "codes"),
}


def check_guidance(name: str) -> str:
    """Return `name`, or raise ValueError with the allowed names."""
    if name not in GUIDANCE_PARTS:
        raise ValueError(f"guidance {name!r} is unknown: choose one of {', '.join(GUIDANCE_PARTS)}")
    return name


@dataclass(frozen=True, kw_only=True, slots=True)
class GuidanceConfig:
    """What is rendered from the head.

    Attributes:
        name: a key of `GUIDANCE_PARTS`.
        render_px: least number of pixels of the shorter image side at which maps are rendered.
        code_dim: channels d of the posed neural codes.
        code_std: standard deviation of the codes before training.
        code_frequency: how fast they vary over the head before training (`model.guidance.smooth_codes`).
    """

    name: str
    render_px: int
    code_dim: int
    code_std: float
    code_frequency: float

    def __post_init__(self) -> None:
        check_guidance(self.name)


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneratorConfig:
    """Size of the encoder and of the progressive warping modules.

    Attributes:
        channels: of the features at levels 1 .. L. Level L has the image's resolution, each level before
            it half the next one's.
        outer_kernel: side of the first (stem) and the last (image) convolution.
        spade_hidden: most channels between the guidance and SPADE's scale and shift.
        last_disp: "own" or "upsampled": where D^(L) comes from (`model.pwm.LastLevel`).
        disp_refines: whether a level's convolution adds to the coarser displacement (`model.pwm.WarpModule`).
        disp_gain: ndc per unit of the displacement convolution before training.
        image_gain: logits per unit of the last convolution before training.
        disp_scale: factor on a rendered displacement where it modulates features.
        nmfc_scale: factor on NMFC, taken about their mean, wherever features are made of them.
    """

    channels: tuple[int, ...]
    outer_kernel: int
    spade_hidden: int
    last_disp: str
    disp_refines: bool
    disp_gain: float
    image_gain: float
    disp_scale: float
    nmfc_scale: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", tuple(self.channels))  # a list where it comes from JSON
        if self.last_disp not in ("own", "upsampled"):
            raise ValueError(f"last_disp {self.last_disp!r}, expected own or upsampled")
        if self.levels < 2:
            raise ValueError(f"channels {self.channels}: a pyramid has at least two levels")

    @property
    def levels(self) -> int:
        """Number of pyramid levels L."""
        return len(self.channels)


@dataclass(frozen=True, kw_only=True, slots=True)
class DiscriminatorConfig:
    """Size of the multi-scale Patch-GAN: `scales` networks of `layers` strided convolutions."""

    scales: int
    layers: int
    width: int
    max_width: int


@dataclass(frozen=True, kw_only=True, slots=True)
class LossConfig:
    """Weights of the losses and where they are measured.

    Attributes:
        perceptual: weight of the perceptual loss (supplementary 1.1).
        perceptual_scales: image scales of the perceptual loss, each half the one before.
        adversarial: weight of the hinge loss of the generator (1.2).
        feature_matching: weight of the discriminator feature matching loss (1.3).
        pixel: weight of an L1 loss on pixels (not in the paper).
        warped: factor on all of these for the warped source I_w (1.4).
    """

    perceptual: float
    perceptual_scales: int
    adversarial: float
    feature_matching: float
    pixel: float
    warped: float


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """How long and how fast to train.

    Attributes:
        iterations: number of optimiser steps.
        batch_size: pairs a step.
        seed: of the initial weights and of the order of the pairs.
        lr_generator: Adam's step for the generator.
        lr_discriminator: Adam's step for the discriminator.
        lr_codes: Adam's step for the table of neural codes.
        lr_drop_steps: steps at which every learning rate is multiplied by `lr_drop_factor`.
        lr_drop_factor: that factor.
        betas: Adam's decay rates.
        log_every: steps between two rows of the training curve.
        checkpoint_every: steps between two checkpoints.
        precision: "float32", or "bfloat16" for autocast.
        channels_last: memory layout of the convolutions.
    """

    iterations: int
    batch_size: int
    seed: int
    lr_generator: float
    lr_discriminator: float
    lr_codes: float
    lr_drop_steps: tuple[int, ...]
    lr_drop_factor: float
    betas: tuple[float, float]
    log_every: int
    checkpoint_every: int
    precision: str
    channels_last: bool

    def __post_init__(self) -> None:
        if self.precision not in ("float32", "bfloat16"):
            raise ValueError(f"precision {self.precision!r}, expected float32 or bfloat16")

    def lr_factor(self, step: int) -> float:
        """Factor on every learning rate at a step (0-based)."""
        return self.lr_drop_factor ** sum(step >= drop for drop in self.lr_drop_steps)
