"""What the PWM network is made of: plain frozen records, without defaults.

Every number here comes from params.yaml (pipeline/params/networks.py types it there); what the paper leaves
open is explained under `Choice:` where the number is used.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

GUIDANCE_PARTS: dict[str, tuple[str, ...]] = {  # guidance name -> rendered channels, in this order
    "geom_disp": ("disp",),
    "neural_codes": ("codes",),
    "nmfc": ("nmfc",),
    "geom_disp+neural_codes": ("disp", "codes"),
}

# What the trained models that are older than a key of `GeneratorConfig` had in its place. Their files lack the key.
GENERATOR_BEFORE = {"output": "warped_source", "nmfc_centre": "in_full"}

# The keys of `GuidanceConfig` and `GeneratorConfig` that nothing reads where the guidance lacks this part.
KEYS_OF_PART = {
    "disp": ("disp_scale",),
    "codes": ("code_dim", "code_std", "code_frequency"),
    "nmfc": ("nmfc_scale", "nmfc_centre"),
}


def check_guidance(name: str) -> str:
    """Return `name`, or raise ValueError with the allowed names."""
    if name not in GUIDANCE_PARTS:
        raise ValueError(f"guidance {name!r} is unknown: choose one of {', '.join(GUIDANCE_PARTS)}")
    return name


def check_output(output: str, last_disp: str, image_gain: float) -> None:
    """Refuse what an output cannot do.

    Raises:
        ValueError: a value is unknown, or `output` does without what another key sets; the message says what to write.
    """
    if output not in ("paper", "warped_source"):
        raise ValueError(f"output {output!r}, expected paper or warped_source")
    if last_disp not in ("own", "upsampled"):
        raise ValueError(f"last_disp {last_disp!r}, expected own or upsampled")
    if output == "paper" and last_disp != "upsampled":
        raise ValueError("output paper predicts no displacement at level L: set last_disp: upsampled")
    if output == "paper" and image_gain != 1:
        raise ValueError(f"output paper has no gain after its last convolution: set image_gain: 1, not {image_gain}")


def complete_generator(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A trained model's record of its generator's sizes, with the keys that it is older than (`GENERATOR_BEFORE`)."""
    return GENERATOR_BEFORE | dict(stored)


def keys_that_count(section: Mapping[str, Any], guidance: str) -> dict[str, Any]:
    """A generator's or a guidance's configuration without the keys that nothing reads with this guidance."""
    parts = GUIDANCE_PARTS[check_guidance(guidance)]
    idle = {key for part, keys in KEYS_OF_PART.items() if part not in parts for key in keys}
    return {key: value for key, value in section.items() if key not in idle}


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
        output: what makes the image of F_r^(L), a key of `model.pwm.output.OUTPUTS`: "paper" or "warped_source".
        last_disp: "own" or "upsampled": where D^(L) comes from (`model.pwm.output.WarpedSourceOutput`); "upsampled"
            with output "paper".
        disp_refines: whether a level's convolution adds to the coarser displacement (`model.pwm.generator.WarpModule`).
        disp_gain: ndc per unit of the displacement convolution before training.
        image_gain: logits per unit of the last convolution before training; 1, and not learned, with output "paper".
        disp_scale: factor on a rendered displacement where it modulates features.
        nmfc_scale: factor on NMFC, taken about their mean, wherever features are made of them.
        nmfc_centre: "by_coverage" or "in_full": how much of that mean is subtracted where the mesh covers a part of a
            pixel (`model.pwm.generator.GuideInput`).
    """

    channels: tuple[int, ...]
    outer_kernel: int
    spade_hidden: int
    output: str
    last_disp: str
    disp_refines: bool
    disp_gain: float
    image_gain: float
    disp_scale: float
    nmfc_scale: float
    nmfc_centre: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", tuple(self.channels))  # a list where it comes from JSON
        check_output(self.output, self.last_disp, self.image_gain)
        if self.nmfc_centre not in ("by_coverage", "in_full"):
            raise ValueError(f"nmfc_centre {self.nmfc_centre!r}, expected by_coverage or in_full")
        if self.levels < 2:
            raise ValueError(f"channels {self.channels}: a pyramid has at least two levels")

    @property
    def levels(self) -> int:
        """Number of pyramid levels L."""
        return len(self.channels)
