"""The losses of Bi-Layer's own; those that methods share are in `model.training.losses`.

Source: saic-violet/bilayer-model at c01cebe, losses/adversarial.py.
"""

from torch import Tensor
from torch.nn import functional as F

from model.training.losses import wide


def rival_hinge(real: Tensor, made: Tensor) -> Tensor:
    """What the rival descends: hinge losses of scores relative to the other side's mean ("ragan").

    Args:
        real: logits of patches of driving frames, of any shape.
        made: those of made images.
    """
    real, made = wide(real), wide(made)
    return F.relu(1 - (real - made.mean())).mean() + F.relu(1 + (made - real.mean())).mean()


def maker_hinge(real: Tensor, made: Tensor) -> Tensor:
    """What the generator descends: the same with the sides exchanged; the real scores are constants to it."""
    return rival_hinge(made, real.detach())
