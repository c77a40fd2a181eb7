"""How PIRender is taught here, in compact form (the released options at 9e59f19 are on docs/cards/pirender.md).

Kept: the two stages, first the warp alone, then warp and image; the perceptual loss of both and the style loss of the
image; each pair in both directions in one step. Added: L1 on pixels of both, which is 0 in the release; a rate of its
own for the last layers. No rival, and no supervision beside the pairs and the codes of their frames.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model.baselines.pirender.network import PIRender
from model.baselines.pirender.style import style_distance
from model.method.lesson import ParamGroup, StepLosses
from model.method.network import Batch
from model.training.losses import mean_apart
from model.training.perceptual import Perceptual


@dataclass(frozen=True, kw_only=True, slots=True)
class PIRenderRates:
    """Adam's steps before any drop, of the layers that give flow and image and of all others."""

    generator: float
    last: float


@dataclass(frozen=True, kw_only=True, slots=True)
class PIRenderLosses:
    """Weights, and when they count.

    Attributes:
        perceptual: weight of the perceptual loss of the image.
        perceptual_warped: of the warped source, in both stages.
        style: weight of the style loss of the image.
        pixel: weight of the L1 losses on pixels of the image and of the warped source (0 in the release).
        warp_share: share of the training, in [0, 1), whose steps teach the warp alone.
    """

    perceptual: float
    perceptual_warped: float
    style: float
    pixel: float
    warp_share: float


class PIRenderLesson:
    """See `model.method.lesson.Lesson`.

    Args:
        network: what is trained.
        perceptual: frozen.
        losses: weights of the losses, and the share of the first stage.
        rates: first learning rates.
    """

    def __init__(self, network: PIRender, perceptual: Perceptual, losses: PIRenderLosses, rates: PIRenderRates) -> None:
        self.network = network
        self.rivals = nn.ModuleDict()
        self.fixed = nn.ModuleDict({"perceptual": perceptual})
        self._losses, self._rates = losses, rates

    def players(self) -> dict[str, list[ParamGroup]]:
        """The generator alone."""
        made = self.network.generator
        ends = [*made.warpping_net.flow_out.parameters(), *made.editing_net.decoder["final"].parameters()]
        others = [p for p in self.network.parameters() if all(p is not end for end in ends)]
        return {"generator": [ParamGroup(others, self._rates.generator), ParamGroup(ends, self._rates.last)]}

    def losses(self, batch: Batch) -> StepLosses:
        """Warp the sources and, in the second stage, edit them; measure both against the driving frames.

        The driving frames are sources of the same step too, driven by the windows about the sources, the signal
        `source_coefficients`. Terms of the image are 0 in the first stage, which makes none.
        """
        weights, perceptual = self._losses, self.fixed["perceptual"]
        assert isinstance(perceptual, Perceptual)
        generator, signals = self.network.generator, batch.signals
        source, target = torch.cat([batch.source, batch.target]) * 2 - 1, torch.cat([batch.target, batch.source])
        style, _, warped = generator.warp(source, torch.cat([signals["coefficients"], signals["source_coefficients"]]))
        shown = [(warped + 1) / 2]
        if batch.progress >= weights.warp_share:
            shown.append((generator.edit(source, warped, style) + 1) / 2)
        terms = self._measured(shown, target, perceptual)
        factors = {
            "perceptual_warped": weights.perceptual_warped,
            "pixel_warped": weights.pixel,
            "perceptual": weights.perceptual,
            "style": weights.style,
            "pixel": weights.pixel,
        }
        total = torch.stack([factors[name] * value for name, value in terms.items()]).sum()
        told = {name: terms[name].detach() if name in terms else total.new_zeros(()) for name in factors}
        return StepLosses({"generator": total}, told)

    def _measured(self, shown: list[Tensor], target: Tensor, perceptual: Perceptual) -> dict[str, Tensor]:
        """The terms of the warped sources, and of the images where there are some, with one pass of the backbone."""
        stacked = torch.cat(shown)
        wanted, found = perceptual.target(target), perceptual.pyramid(stacked)
        features = perceptual.distance(found, wanted, stacked)
        pixels = mean_apart(stacked, target)
        terms = {"perceptual_warped": features[0], "pixel_warped": pixels[0]}
        if len(shown) > 1:
            images = [maps.chunk(2)[1] for maps in found[0]]
            terms |= {"perceptual": features[1], "style": style_distance(images, wanted[0]), "pixel": pixels[1]}
        return terms
