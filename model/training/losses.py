"""Terms of losses that methods share (paper section 3.4, supplementary 1.2 and 1.3).

Images that a lesson makes of one batch stack along the batch axis, in groups of B, so that each network sees them in
one pass; what is said of k groups has the shape (k,).

Choice: means over positions and images where the supplement has sums, so that weights do not depend
on sizes; scales and layers are summed.
"""

from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from model.method.precision import wide


@dataclass(frozen=True)
class PatchScores:
    """What one scale of a patch discriminator says of N images: its hidden layers, and logits (N, 1, h, w)."""

    features: list[Tensor]
    logits: Tensor


Judged = list[PatchScores]  # by every scale


def judged(discriminator: nn.Module, target: Tensor, made: Tensor) -> tuple[Judged, Judged]:
    """What a discriminator says of the targets (B, 3, H, W), and of what was made for them (kB, 3, H, W).

    Two passes, so that the gradient of what was made need not go through what the targets had; their weights are
    normalised once, as for one pass.
    """
    with parametrize.cached():
        return discriminator(target), discriminator(made)


def mean_apart(made: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of k groups (kB, ...) to one of B: (k,).

    The gradient lies in memory as `made` does (that of torch's `mean` is contiguous, and an operation on maps of two
    layouts takes several times as long on a CPU).
    """
    apart = (wide(made).unflatten(0, (-1, len(target))) - wide(target)).abs()
    return apart.sum(list(range(1, apart.dim()))) / target.numel()


def discriminator_hinge(real: Judged, made: Judged) -> Tensor:
    """Equation 3: mean max(0, 1 - D(real)) + mean max(0, 1 + D(made)), summed over scales; (k,)."""
    pairs = zip(real, made, strict=True)
    return cast(
        Tensor,
        sum(
            F.relu(1.0 - wide(r.logits)).mean() + _means(F.relu(1.0 + wide(m.logits)), len(r.logits)) for r, m in pairs
        ),
    )


def generator_hinge(made: Judged, size: int) -> Tensor:
    """Equation 2: -mean D(made), summed over scales, of groups of `size` images; (k,)."""
    return -cast(Tensor, sum(_means(wide(m.logits), size) for m in made))


def feature_matching(real: Judged, made: Judged) -> Tensor:
    """Equation 4: mean absolute difference of hidden features, summed over layers and scales; (k,).

    The real features carry no gradient: the loss moves the made image, not what it is compared with.
    """
    distances = (
        mean_apart(b, a.detach())
        for r, m in zip(real, made, strict=True)
        for a, b in zip(r.features, m.features, strict=True)
    )
    return cast(Tensor, sum(distances))


def _means(values: Tensor, size: int) -> Tensor:
    return values.unflatten(0, (-1, size)).flatten(1).mean(1)
