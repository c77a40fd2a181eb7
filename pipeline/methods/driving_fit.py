"""The fits that drive pairs, some of one person and some of two."""

import torch
from torch import Tensor

from model.heads.fit import HeadFit
from model.heads.head import HeadModel
from model.heads.retarget import retarget


def driving_fit(source: HeadFit, driving: HeadFit, same: Tensor, head: HeadModel) -> HeadFit:
    """Retarget each pair as its people ask for (`model.heads.retarget`).

    Args:
        source: B fits of the source frames.
        driving: B fits of the driving frames.
        same: (B,) bool, whether both show one person.
        head: the head that both were fitted with.

    Returns:
        B fits of the driving meshes.
    """
    own = retarget(source, driving, True, head)
    if bool(same.all()):  # as in training
        return own
    rows = torch.arange(len(own), device=same.device) + torch.where(same, 0, len(own))
    return HeadFit.cat([own, retarget(source, driving, False, head)])[rows]
