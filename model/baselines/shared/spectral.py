"""The spectral norm that published networks have: the older of torch's two, for the names of their checkpoints.

A weight is three tensors there: `weight_orig`, `weight_u`, `weight_v`. Networks whose names are ours have the newer one
(model/method/spectral.py).
"""

from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import utils
from torch.nn.utils.spectral_norm import SpectralNorm

Layer = TypeVar("Layer", bound=nn.Module)


class WideSpectralNorm(SpectralNorm):
    """torch's, digit for digit, but as wide as the weight also under autocast.

    Its products are on autocast's list of what bfloat16 may do, and there the largest singular value would be known to
    two or three digits.
    """

    def compute_weight(self, module: nn.Module, do_power_iteration: bool) -> Tensor:
        """Divide the weight by its largest singular value, after one more power iteration in training."""
        kind = getattr(module, f"{self.name}_orig").device.type
        if not torch.amp.is_autocast_available(kind):  # on `meta`, where forms alone are looked at
            return super().compute_weight(module, do_power_iteration)
        with torch.autocast(kind, enabled=False):
            return super().compute_weight(module, do_power_iteration)


def spectral_norm(layer: Layer, eps: float = 1e-12) -> Layer:
    """Normalise a layer's weight, in place, by its largest singular value.

    Args:
        layer: a convolution or a linear layer.
        eps: below which lengths of the power iteration's vectors do not fall.
    """
    utils.spectral_norm(layer, eps=eps)
    hooks = layer._forward_pre_hooks
    for key, hook in hooks.items():
        if isinstance(hook, SpectralNorm):  # which torch has no way to choose
            hooks[key] = WideSpectralNorm(hook.name, hook.n_power_iterations, hook.dim, hook.eps)
    return layer
