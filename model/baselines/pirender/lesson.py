"""How PIRender is taught here, in compact form (the released options at 9e59f19 are on docs/cards/pirender.md).

Kept: the two stages, first the warp alone, then warp and image; the perceptual loss of both and the style loss of the
image. Added: L1 on pixels of both, which is 0 in the release. Left out: the pair's other direction in the same step.
No rival, and no supervision beside the pairs and the codes of the driving frames.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model.baselines.pirender.network import PIRender
from model.baselines.pirender.style import style_distance
from model.method.lesson import ParamGroup, StepLosses
from model.method.network import Batch
from model.training.perceptual import Perceptual


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
        rate: Adam's step before any drop.
    """

    def __init__(self, network: PIRender, perceptual: Perceptual, losses: PIRenderLosses, rate: float) -> None:
        self.network = network
        self.rivals = nn.ModuleDict()
        self.fixed = nn.ModuleDict({"perceptual": perceptual})
        self._losses, self._rate = losses, rate

    def players(self) -> dict[str, list[ParamGroup]]:
        """The generator alone."""
        return {"generator": [ParamGroup(list(self.network.parameters()), self._rate)]}

    def losses(self, batch: Batch) -> StepLosses:
        """Warp the sources and, in the second stage, edit them; measure both against the driving frames.

        Terms of the image are 0 in the first stage, which makes none.
        """
        weights, perceptual = self._losses, self.fixed["perceptual"]
        assert isinstance(perceptual, Perceptual)
        generator, source = self.network.generator, batch.source * 2 - 1
        style, _, warped = generator.warp(source, batch.signals["coefficients"])
        shown = [(warped + 1) / 2]
        if batch.progress >= weights.warp_share:
            shown.append((generator.edit(source, warped, style) + 1) / 2)
        terms = self._measured(shown, batch.target, perceptual)
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
        pixels = [(image - target).abs().mean() for image in shown]
        terms = {"perceptual_warped": features[0], "pixel_warped": pixels[0]}
        if len(shown) > 1:
            images = [maps.chunk(2)[1] for maps in found[0]]
            terms |= {"perceptual": features[1], "style": style_distance(images, wanted[0]), "pixel": pixels[1]}
        return terms
