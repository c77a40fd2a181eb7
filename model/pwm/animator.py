"""Everything between a source image with two fits and an animated image, in one module."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model.heads.fit import HeadFit
from model.heads.head import HeadModel
from model.pwm.config import GUIDANCE_PARTS, GeneratorConfig, GuidanceConfig
from model.pwm.generator import Generator, PWMOutput
from model.pwm.guidance import Guidance, nmfc


@dataclass(frozen=True, kw_only=True, slots=True)
class AnimatorConfig:
    """One row of the tables: what guides, and how large the generator is."""

    guidance: GuidanceConfig
    generator: GeneratorConfig


class Animator(nn.Module):
    """Head, guidance and generator. The head has no state of its own: checkpoints name it by hash."""

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

    def forward(self, source: Tensor, fit_src: HeadFit, fit_drv: HeadFit) -> PWMOutput:
        """Animate B source images.

        Args:
            source: (B, 3, H, W) in [0, 1]; H and W multiples of 2^(L-1). The generator works in its precision,
                whatever the head's.
            fit_src: fits of the sources.
            fit_drv: fits of the driving meshes, already retargeted (model/heads/retarget.py).
        """
        with torch.autocast(device_type=source.device.type, enabled=False):
            maps = self.guidance(self.head, fit_src, fit_drv, tuple(source.shape[-2:]))
        return self.generator(source, maps.to(source.dtype))
