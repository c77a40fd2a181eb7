"""Geometric guidance rendered from the source and driving heads (paper section 3.2).

Legend: M_s, M_d source and driving mesh; V_{d->s} displacement of each vertex; E neural codes;
V vertices, d code channels. Background is zero in every map.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.config import GUIDANCE_PARTS, GuidanceConfig
from model.coords import Size
from model.heads.fit import HeadFit
from model.heads.head import HeadModel
from model.raster import interpolate, rasterize


@dataclass(frozen=True)
class GuidanceMaps:
    """Rendered guidance.

    Attributes:
        driving: (B, C, h, w) what modulates the decoder, on the driving mesh; displacement first.
        source: (B, C', h, w) what joins the source image before the encoder; C' may be 0.
    """

    driving: Tensor
    source: Tensor


class Guidance(nn.Module):
    """Render what `config.name` asks for: displacement, posed neural codes, NMFC, or two of them.

    Each part is a value per vertex, rasterised with the mesh that it belongs to, back faces culled,
    hidden surfaces removed by that mesh's own depth:
    - disp: V_{d->s} = P(M_s) - P(M_d) in ndc, on M_d;
    - codes: a learned vector per vertex, on M_d for the decoder and on M_s for the encoder;
    - nmfc: coordinates of the mean head in [0, 1], in place of the codes.

    Choice: the codes start as Gaussian noise of deviation `code_std`. Codes of a head that models only
    the face are zero outside the face, because only the mesh is rendered.
    """

    def __init__(self, head: HeadModel, config: GuidanceConfig) -> None:
        super().__init__()
        parts = GUIDANCE_PARTS[config.name]
        self.config = config
        self.has_disp = "disp" in parts
        self.codes: nn.Parameter | None = None
        if "codes" in parts:
            self.codes = nn.Parameter(torch.randn(head.num_vertices, config.code_dim) * config.code_std)
        self.register_buffer("nmfc", nmfc(head.template) if "nmfc" in parts else None, persistent=False)
        self.source_channels = {"codes": config.code_dim, "nmfc": 3, "disp": 0}[parts[-1]]
        self.driving_channels = 2 * self.has_disp + self.source_channels

    def forward(self, head: HeadModel, fit_src: HeadFit, fit_drv: HeadFit, size_hw: Size) -> GuidanceMaps:
        """Render the maps of B pairs.

        Args:
            head: the head of both fits.
            fit_src: fits of the source frames.
            fit_drv: fits of the driving meshes, already retargeted (model/retarget.py).
            size_hw: size of the images; maps come at this size times the least whole number that
                brings the shorter side to `render_px`, so that every level is an exact area mean.
        """
        factor = max(1, math.ceil(self.config.render_px / min(size_hw)))
        size = (size_hw[0] * factor, size_hw[1] * factor)
        with torch.no_grad():
            verts_drv, verts_src = head.place(HeadFit.cat([fit_drv, fit_src])).chunk(2)
        driving = []
        attributes = self.codes if self.codes is not None else self.nmfc
        verts = verts_drv if attributes is None else torch.cat([verts_drv, verts_src])
        fragments = rasterize(verts, head.triangles, size, perspective=head.perspective)
        count = len(verts_drv)
        if self.has_disp:
            disp = verts_src[..., :2] - verts_drv[..., :2]  # (B, V, 2) ndc
            driving.append(interpolate(fragments[:count], disp, head.triangles))
        if attributes is None:
            return GuidanceMaps(driving[0], driving[0][:, :0])
        maps_drv, maps_src = interpolate(fragments, attributes, head.triangles).chunk(2)
        return GuidanceMaps(torch.cat([*driving, maps_drv], 1), maps_src)


def nmfc(template: Tensor) -> Tensor:
    """Normalised mean face coordinates (V, 3) in [0, 1]: the template, shifted and scaled by one factor.

    Source: HeadGAN section 3.1; one factor for the three axes keeps the head's proportions.
    """
    low = template.amin(0)
    return (template - low) / (template.amax(0) - low).max()


def area_resize(maps: Tensor, size_hw: Size) -> Tensor:
    """Mean of maps (B, C, h, w) over the area of each target pixel, as in resizing guidance to a level."""
    return maps if maps.shape[-2:] == torch.Size(size_hw) else F.adaptive_avg_pool2d(maps, size_hw)
