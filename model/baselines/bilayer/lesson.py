"""How Bi-Layer is taught here; docs/cards/bilayer.md lists what is published, and what became of it.

Legend: I_d the driving frame, which is the ground truth; low and high the two layers; all in [-1, 1] inside. Made and
true images are composited over black by the person that the network predicts, as published, unless its config says
that nothing is put behind the person. No loss but `segmentation` teaches the person.

Source: saic-violet/bilayer-model at c01cebe, losses/*.py, networks/inference_generator.py, scripts/*.sh.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.baselines.bilayer.discriminator import Rival
from model.baselines.bilayer.losses import maker_hinge, rival_hinge
from model.baselines.bilayer.network import BiLayer, BiLayerParts, over_black
from model.frame.layout import as_laid_out
from model.method.lesson import ParamGroup, StepLosses
from model.method.network import Batch
from model.training.losses import PatchScores, feature_matching, mean_apart, wide
from model.training.perceptual import Perceptual

TERMS = ("perceptual", "adversarial", "feature_matching", "low", "pixel", "segmentation", "warping")


@dataclass(frozen=True, kw_only=True, slots=True)
class BiLayerLosses:
    """Weights of the losses, of images in [0, 1].

    Attributes:
        perceptual: of the perceptual loss on the image; the low layer is a constant to it.
        perceptual_scales: image scales of the perceptual loss, each half the one before.
        adversarial: of the relativistic hinge loss, of generator and rival alike.
        feature_matching: of the distance of the rival's features, summed over its blocks.
        low: of the L1 distance of the low layer, which it makes the mean of what may be there.
        pixel: of the L1 distance of the image; 0 as published.
        segmentation: of the cross-entropy of the predicted person.
        warping: of the mean shift of where the texture is sampled, ndc, at the first step.
        warping_until: share of the run over which that weight falls to nothing, in a straight line.
        enhancer_from: share of the run after which the enhancer alone learns, as published, and before which it does
            not; None teaches it beside all else from the first step on.
    """

    perceptual: float
    perceptual_scales: int
    adversarial: float
    feature_matching: float
    low: float
    pixel: float
    segmentation: float
    warping: float
    warping_until: float
    enhancer_from: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class BiLayerRates:
    """Adam's steps before any drop, of the generator and of the discriminator."""

    generator: float
    discriminator: float


class BiLayerLesson:
    """See `model.method.lesson.Lesson`. Its batches need part labels: whatever is not background is the person.

    Args:
        network: what is trained.
        rival: judges its images.
        perceptual: frozen.
        losses: weights of the losses.
        rates: first learning rates.
    """

    def __init__(
        self, network: BiLayer, rival: Rival, perceptual: Perceptual, losses: BiLayerLosses, rates: BiLayerRates
    ) -> None:
        self.network = network
        self.rivals = nn.ModuleDict({"discriminator": rival})
        self.fixed = nn.ModuleDict({"perceptual": perceptual})
        self._losses, self._rates = losses, rates

    def players(self) -> dict[str, list[ParamGroup]]:
        """Generator against discriminator."""
        generator = ParamGroup(list(self.network.parameters()), self._rates.generator)
        rival = ParamGroup(list(self.rivals.parameters()), self._rates.discriminator)
        return {"generator": [generator], "discriminator": [rival]}

    def losses(self, batch: Batch) -> StepLosses:
        """Animate the sources and measure image, low layer, person and shift against the driving frame."""
        weights, start = self._losses, self._losses.enhancer_from
        enhancing = start is None or batch.progress >= start
        own: BiLayerParts = self.network(batch.source, batch.signals, base_learns=start is None or not enhancing).own
        high = own.enhanced_high if enhancing else own.high
        person = None if self.network.config.background is None else own.person.detach()

        def shown(img: Tensor) -> Tensor:
            return img if person is None else over_black(img, person)

        low, target = shown(own.low), shown(2 * batch.target - 1)
        image, sharpened = shown(own.low + high), shown(own.low.detach() + high)
        real, made = self._judged(target, image, batch.signals["driving_stickman"])
        perceptual = cast(Perceptual, self.fixed["perceptual"])
        terms = {
            "perceptual": perceptual((sharpened + 1) / 2, perceptual.target((target + 1) / 2))[0],
            "adversarial": maker_hinge(real.logits, made.logits),
            "feature_matching": feature_matching([real], [made])[0],
            "low": _apart(low, target),
            "pixel": _apart(image, target),
            "segmentation": F.binary_cross_entropy_with_logits(wide(own.person_logits), _person(batch, own.person)),
            "warping": own.shift.abs().mean(),
        }
        factors = {name: getattr(weights, name) for name in TERMS}
        factors["warping"] *= max(0.0, 1 - batch.progress / weights.warping_until)
        generator = cast(Tensor, sum(factors[name] * value for name, value in terms.items()))
        rival = weights.adversarial * rival_hinge(real.logits, made.logits)
        return StepLosses(
            {"generator": generator, "discriminator": rival}, {name: value.detach() for name, value in terms.items()}
        )

    def _judged(self, target: Tensor, image: Tensor, drawing: Tensor) -> tuple[PatchScores, PatchScores]:
        """What the rival says of true and made images (B, 3, n, n), in one pass."""
        both, drawings = torch.cat([target, image]), (2 * drawing - 1).repeat(2, 1, 1, 1)
        scores: PatchScores = self.rivals["discriminator"](both, drawings)
        features = [as_laid_out(maps).chunk(2) for maps in scores.features]
        real, made = (PatchScores([f[k] for f in features], scores.logits.chunk(2)[k]) for k in range(2))
        return real, made


def _apart(img: Tensor, target: Tensor) -> Tensor:
    """Mean distance of images in [-1, 1], on the scale of [0, 1]."""
    return mean_apart(img, target)[0] / 2


def _person(batch: Batch, like: Tensor) -> Tensor:
    """Where the driving frames show the person, (B, 1, n, n) of 0 and 1."""
    if batch.parts is None:
        raise ValueError("Bi-Layer learns where the person is, but the batch has no part labels")
    return (batch.parts[1] > 0)[:, None].to(torch.promote_types(like.dtype, torch.float32))
