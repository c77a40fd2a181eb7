"""Everything between a source image with two fits and an animated image, in one module."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from model.heads.fit import HeadFit
from model.heads.head import HeadModel
from model.heads.nmfc import nmfc
from model.method.network import Made, Signals
from model.pwm.config import GUIDANCE_PARTS, GeneratorConfig, GuidanceConfig
from model.pwm.generator import Generator
from model.pwm.guidance import Guidance


@dataclass(frozen=True, kw_only=True, slots=True)
class AnimatorConfig:
    """One row of the tables: what guides, and how large the generator is."""

    guidance: GuidanceConfig
    generator: GeneratorConfig


class Animator(nn.Module):
    """Head, guidance and generator. The head has no state of its own: checkpoints name it by hash."""

    native_px = 0  # any size that the pyramid divides

    def __init__(self, head: HeadModel, config: AnimatorConfig) -> None:
        super().__init__()
        self.config = config
        self.head = head
        self.guidance = Guidance(head, config.guidance)
        self.generator = Generator(
            config.generator,
            GUIDANCE_PARTS[config.guidance.name],
            source_channels=self.guidance.source_channels,
            guide_channels=self.guidance.driving_channels,
            nmfc_middle=nmfc(head.template).mean(0),
        )

    def forward(self, source: Tensor, signals: Signals) -> Made:
        """Animate B source images.

        Args:
            source: (B, 3, H, W) in [0, 1]; H and W multiples of 2^(L-1). The generator works in its precision,
                whatever the head's.
            signals: `fit_signals` of the sources' fits and of those of the driving meshes, already retargeted
                (model/heads/retarget.py).

        Returns:
            The images; `own` is the `PWMOutput`.
        """
        fit_src, fit_drv = fits_of(signals)
        with torch.autocast(device_type=source.device.type, enabled=False):
            maps = self.guidance(self.head, fit_src, fit_drv, tuple(source.shape[-2:]))
        out = self.generator(source, maps.to(source.dtype))
        return Made(out.image, {"warped source": out.warped}, out)


SIDES = ("source", "driving")


def fit_signals(fit_src: HeadFit, fit_drv: HeadFit) -> dict[str, Tensor]:
    """Write two batches of fits as signals, a tensor a field: `source_pose` (B, 3J) and so on."""
    return {
        f"{side}_{field.name}": getattr(fit, field.name)
        for side, fit in zip(SIDES, (fit_src, fit_drv), strict=True)
        for field in fields(HeadFit)
    }


def fits_of(signals: Signals) -> tuple[HeadFit, HeadFit]:
    """Read what `fit_signals` wrote: fits of the sources, and of the driving meshes."""
    source, driving = (HeadFit(*(signals[f"{side}_{field.name}"] for field in fields(HeadFit))) for side in SIDES)
    return source, driving
