"""What the PWM network is made of: plain frozen records, without defaults.

Every number here comes from params.yaml (pipeline/params/recipe.py types it there); what the paper leaves
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
        code_frequency: how fast they vary over the head before training (`model.pwm.guidance.smooth_codes`).
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
        last_disp: "own" or "upsampled": where D^(L) comes from (`model.pwm.generator.LastLevel`).
        disp_refines: whether a level's convolution adds to the coarser displacement (`model.pwm.generator.WarpModule`).
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
