"""Terms of losses that methods share (paper section 3.4, supplementary 1.2 and 1.3).

Groups of images stack along the batch axis, so that each network sees one pass.

Choice: means over positions and images where the supplement has sums, so that weights do not depend
on sizes; scales and layers are summed.
"""

from dataclasses import dataclass
from typing import cast

from torch import Tensor
from torch.nn import functional as F

from model.method.precision import wide


def _hinge(logits: Tensor) -> Tensor:
    return F.relu(1.0 + logits).mean()


@dataclass(frozen=True)
class PatchScores:
    """What one scale of a patch discriminator says of N images: its hidden layers, and logits (N, 1, h, w)."""

    features: list[Tensor]
    logits: Tensor


def groups(scores: list[PatchScores], count: int) -> list[list[PatchScores]]:
    """Cut scores of `count` stacked groups of equal size apart.

    Chunks of one map share a node of the graph, so its gradient is put together once; slices would each fill a map.
    """
    cut = [([f.chunk(count) for f in s.features], s.logits.chunk(count)) for s in scores]
    return [[PatchScores([f[k] for f in features], logits[k]) for features, logits in cut] for k in range(count)]


def discriminator_hinge(real: list[PatchScores], made: list[PatchScores]) -> Tensor:
    """Equation 3: mean max(0, 1 - D(real)) + mean max(0, 1 + D(made)), summed over scales."""
    pairs = zip(real, made, strict=True)
    return cast(Tensor, sum(_hinge(-wide(r.logits)) + _hinge(wide(m.logits)) for r, m in pairs))


def generator_hinge(made: list[PatchScores]) -> Tensor:
    """Equation 2: -mean D(made), summed over scales."""
    return -cast(Tensor, sum(wide(m.logits).mean() for m in made))


def feature_matching(real: list[PatchScores], made: list[PatchScores]) -> Tensor:
    """Equation 4: mean absolute difference of hidden features, summed over layers and scales.

    The real features carry no gradient: the loss moves the made image, not what it is compared with.
    """
    distances = (
        (wide(a.detach()) - wide(b)).abs().mean()
        for r, m in zip(real, made, strict=True)
        for a, b in zip(r.features, m.features, strict=True)
    )
    return cast(Tensor, sum(distances))
