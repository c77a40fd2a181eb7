"""Geometric guidance rendered from the source and driving heads (paper section 3.2).

Legend: M_s, M_d source and driving mesh; V_{d->s} displacement of each vertex; E neural codes;
V vertices, d code channels. Background is zero in every map.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.frame.coords import Size
from model.heads.fit import HeadFit
from model.heads.head import HeadModel
from model.heads.nmfc import nmfc
from model.pwm.config import GUIDANCE_PARTS, GuidanceConfig
from model.render.area import interpolate_area
from model.render.raster import Fragments, rasterize


@dataclass(frozen=True)
class GuidanceMaps:
    """Rendered guidance.

    Attributes:
        driving: (B, C, h, w) what modulates the decoder, on the driving mesh; displacement first.
        source: (B, C', h, w) what joins the source image before the encoder; C' may be 0.
        coverage: (B, 2, h, w) share in [0, 1] of each pixel's area that shows the driving and the source mesh, exactly
            1 where it is the whole; (B, 0, h, w) where the guidance has no NMFC, which alone need it.
    """

    driving: Tensor
    source: Tensor
    coverage: Tensor

    def to(self, dtype: torch.dtype) -> "GuidanceMaps":
        """Cast all maps."""
        return GuidanceMaps(self.driving.to(dtype), self.source.to(dtype), self.coverage.to(dtype))


class Guidance(nn.Module):
    """Render what `config.name` asks for: displacement, posed neural codes, NMFC, or two of them.

    Each part is a value per vertex, rasterised with the mesh that it belongs to, back faces culled,
    hidden surfaces removed by that mesh's own depth:
    - disp: V_{d->s} = P(M_s) - P(M_d) in ndc, on M_d;
    - codes: a learned vector per vertex, on M_d for the decoder and on M_s for the encoder;
    - nmfc: coordinates of the mean head in [0, 1], in place of the codes.

    Choice: the codes start as random waves over the mean head (`smooth_codes`), of deviation `code_std`:
    neighbours start alike, so a code already says where on the head it is. Codes of a head that models
    only the face are zero outside the face, because only the mesh is rendered.
    Choice: maps are "resized to match the resolution" (section 3.3) as means over areas, background counting as zero.
    """

    nmfc: Tensor | None  # (V, 3)

    def __init__(self, head: HeadModel, config: GuidanceConfig) -> None:
        super().__init__()
        parts = GUIDANCE_PARTS[config.name]
        self.config = config
        self.has_disp = "disp" in parts
        self.codes: nn.Parameter | None = None
        if "codes" in parts:
            self.codes = nn.Parameter(
                smooth_codes(head.template, config.code_dim, config.code_frequency) * config.code_std
            )
        self.register_buffer("nmfc", nmfc(head.template) if "nmfc" in parts else None, persistent=False)
        self.source_channels = {"codes": config.code_dim, "nmfc": 3, "disp": 0}[parts[-1]]
        self.driving_channels = 2 * self.has_disp + self.source_channels

    def forward(self, head: HeadModel, fit_src: HeadFit, fit_drv: HeadFit, size_hw: Size) -> GuidanceMaps:
        """Render the maps of B pairs, in the precision of the head.

        Args:
            head: the head of both fits, float32 or float64.
            fit_src: fits of the source frames.
            fit_drv: fits of the driving meshes, already retargeted (model/heads/retarget.py).
            size_hw: size of the images. Meshes are rasterised at this size times the least whole number
                that brings the shorter side to `render_px`, and maps come at `size_hw` as means over
                the pixels' areas, so that every level of the pyramid is an exact area mean.
        """
        factor = max(1, math.ceil(self.config.render_px / min(size_hw)))
        size = (size_hw[0] * factor, size_hw[1] * factor)
        with torch.no_grad():
            fits = HeadFit.cat([fit_drv, fit_src]).to(head.template.dtype)
            verts_drv, verts_src = head.place(fits).chunk(2)
        driving = []
        attributes = self.codes if self.codes is not None else self.nmfc
        attributes = None if attributes is None else attributes.to(head.template.dtype)
        verts = verts_drv if attributes is None else torch.cat([verts_drv, verts_src])
        fragments = rasterize(verts, head.triangles, size, perspective=head.perspective)
        count = len(verts_drv)
        if self.has_disp:
            disp = verts_src[..., :2] - verts_drv[..., :2]  # (B, V, 2) ndc
            on_driving = Fragments(fragments.triangle[:count], fragments.barycentric[:count], fragments.depth[:count])
            driving.append(interpolate_area(on_driving, disp, head.triangles, factor))
        if attributes is None:
            return GuidanceMaps(driving[0], driving[0][:, :0], driving[0][:, :0])
        maps_drv, maps_src = interpolate_area(fragments, attributes, head.triangles, factor).chunk(2)
        coverage = maps_drv[:, :0]
        if self.nmfc is not None:
            covered = fragments.covered[:, None].to(maps_drv.dtype)
            coverage = torch.cat(F.avg_pool2d(covered, factor).chunk(2), 1)  # a sum by its count: 1 exactly where full
        return GuidanceMaps(torch.cat([*driving, maps_drv], 1), maps_src, coverage)


def smooth_codes(template: Tensor, code_dim: int, frequency: float) -> Tensor:
    """Random plane waves over the template (V, 3) as first codes (V, d) of unit deviation.

    Source: random Fourier features (Rahimi and Recht, 2007); `frequency` is the deviation of the wave
    vectors in radians per standard deviation of the template's coordinates.
    """
    points = (template - template.mean(0)) / template.std()
    waves, phases = torch.randn(3, code_dim) * frequency, torch.rand(code_dim) * 2 * math.pi
    return math.sqrt(2) * torch.sin(points @ waves.to(points) + phases.to(points))
