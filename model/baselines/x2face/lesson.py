"""How X2Face is taught here, in two stages (paper, section 3; what of it is kept is on its card, docs/cards/x2face.md).

Legend: s_A, d_A source and driving frame of one video; d_R a driving frame of another pair of the batch, mostly of
another person; g_dA, g_dR what the network makes of s_A when the one or the other drives it.

Stage 1: L1 between g_dA and d_A. Stage 2 adds the content loss of g_dA and d_A, and the identity loss of g_dR, which
has no ground truth, and s_A. No supervision beside the pairs.
"""

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from model.baselines.x2face.network import X2Face, sample
from model.method.lesson import ParamGroup, StepLosses
from model.method.network import Batch
from model.training.losses import mean_apart, wide
from model.training.perceptual import Perceptual


@dataclass(frozen=True, kw_only=True, slots=True)
class X2FaceLosses:
    """Weights of the losses, and when the second stage begins.

    Attributes:
        photometric: of the L1 loss on pixels, in both stages.
        perceptual: of the content loss, in stage 2.
        identity: of the identity loss, in stage 2.
        second_stage: share of the run after which stage 2 begins, in [0, 1]; with 1 there is none.
    """

    photometric: float
    perceptual: float
    identity: float
    second_stage: float


@dataclass(frozen=True, kw_only=True, slots=True)
class X2FaceRates:
    """Adam's steps before any drop, of both networks and of the convolutions that they end in."""

    generator: float
    flow: float


class X2FaceLesson:
    """See `model.method.lesson.Lesson`.

    Args:
        network: what is trained.
        perceptual: frozen; compares content, and its deepest features stand where VGG-Face's do in the paper.
        losses: weights of the losses.
        rates: first learning rates.
    """

    def __init__(self, network: X2Face, perceptual: Perceptual, losses: X2FaceLosses, rates: X2FaceRates) -> None:
        self.network = network
        self.rivals = nn.ModuleDict()
        self.fixed = nn.ModuleDict({"perceptual": perceptual})
        self._perceptual, self._losses, self._rates = perceptual, losses, rates

    def players(self) -> dict[str, list[ParamGroup]]:
        """Both networks against nobody; where they end, Adam's steps are steps of the flow itself."""
        ends = [cast(nn.Parameter, part.last.weight) for part in (self.network.unwrapped, self.network.sampler)]
        rest = [weight for weight in self.network.parameters() if all(weight is not end for end in ends)]
        return {"generator": [ParamGroup(rest, self._rates.generator), ParamGroup(ends, self._rates.flow)]}

    def losses(self, batch: Batch) -> StepLosses:
        """Animate the sources, in stage 2 by other pairs' drivers as well, and measure.

        The embedded faces and what is read off the drivers serve both: only the last sampling is done twice. Terms of
        a stage that has not begun are 0.
        """
        made, weights = self.network(batch.source, batch.signals), self._losses
        second = batch.progress >= weights.second_stage
        none = made.image.new_zeros(())
        terms = {
            "photometric": mean_apart(made.image, batch.target)[0],
            "perceptual": self._perceptual(made.image, self._perceptual.target(batch.target))[0] if second else none,
            "identity": none,
        }
        if second:
            crossed = sample(made.own.embedded, made.own.drive_raw.roll(1, 0))
            terms["identity"] = identity_loss(self._perceptual, crossed, batch.source)
        total = sum((getattr(weights, name) * value for name, value in terms.items()), none)
        return StepLosses({"generator": total}, {name: value.detach() for name, value in terms.items()})


def identity_loss(perceptual: Perceptual, img: Tensor, source: Tensor) -> Tensor:
    """Mean absolute difference of the deepest features of images (B, 3, H, W) in [0, 1] and of their sources.

    Choice: features are averaged over positions, because the two show different poses; the layers that the paper
    compares here are VGG-Face's last, which know no positions.
    """
    with torch.no_grad():
        wanted = _described(perceptual, source)
    return (_described(perceptual, img) - wanted).abs().mean()


def _described(perceptual: Perceptual, img: Tensor) -> Tensor:
    """What the deepest block that is compared says of images (B, 3, H, W): (B, C)."""
    backbone: Any = perceptual.backbone
    return wide(backbone.features(img)[perceptual.blocks - 1]).mean((2, 3))
