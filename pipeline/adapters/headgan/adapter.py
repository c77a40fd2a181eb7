"""HeadGAN is driven by pictures of a head: NMFC in the driving pose and in the two before it, on the source's shape.

The paper's HeadGAN is trained anew with FLAME, as the one that is published expects another head (LSFM).
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from model.baselines.headgan.network import HeadGan, HeadGanConfig
from model.heads.fit import HeadFit
from model.heads.head import HeadModel
from model.heads.nmfc import nmfc
from model.render.area import interpolate_area
from model.render.raster import rasterize
from pipeline.methods.driving_fit import driving_fit
from pipeline.methods.placement import resized
from pipeline.methods.protocol import Driven, Table, View
from pipeline.methods.sizes import config_of


class HeadGanAdapter:
    """See `pipeline.methods.protocol.Adapter`. Its own crop is not rebuilt."""

    table: ClassVar[Table] = "own"
    has_own_crop: ClassVar[bool] = False
    notes: ClassVar[tuple[str, ...]] = ()

    def __init__(self, network: nn.Module, head: HeadModel | None) -> None:
        assert isinstance(network, HeadGan)  # as `build` makes it
        assert head is not None
        self._head, self._frames, self._smoothing = head, network.config.frames, network.config.smoothing
        self._size = (network.native_px, network.native_px)

    @classmethod
    def build(cls, config: Mapping[str, Any], head: HeadModel | None) -> nn.Module:
        """The network of a config.json."""
        if head is None:
            raise ValueError("HeadGAN is driven by pictures of a head, but its config.json names none")
        return HeadGan(config_of(HeadGanConfig, config))

    @classmethod
    def why_not_released(cls, fitted: Mapping[str, str]) -> str:
        """The released weights know LSFM's pictures."""
        return (
            "the released weights were trained on pictures of LSFM, which no profile fits: the paper trains HeadGAN "
            "anew with FLAME"
        )

    def drive(self, source: View, driving: View, same: Tensor, own_crop: bool = False) -> Driven:
        """The source at the network's size, and pictures of both heads."""
        fit_src, fit_drv = source.fit(), driving.fit(before=self._frames - 1)
        of_window = torch.arange(len(fit_src), device=same.device).repeat_interleave(self._frames)
        pictures = self._render(driving_fit(fit_src[of_window], fit_drv, same[of_window], self._head))
        signals = {
            "driving_nmfc": pictures.unflatten(0, (-1, self._frames)).flatten(1, 2),
            "source_nmfc": self._render(fit_src),
        }
        return Driven(resized(source.images(), self._size), signals)

    def _render(self, fit: HeadFit) -> Tensor:
        """NMFC (B, 3, n, n) in [0, 1] of B fitted heads, black around them."""
        head, times = self._head, self._smoothing
        size = (times * self._size[0], times * self._size[1])
        fragments = rasterize(head.place(fit), head.triangles, size, perspective=head.perspective)
        return interpolate_area(fragments, nmfc(head.template), head.triangles, times)


ADAPTER = HeadGanAdapter
