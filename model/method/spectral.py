"""The convolution of generators and discriminators that are trained here."""

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.parametrize import register_parametrization

SLOPE = 0.2  # of every leaky ReLU


class SpectralNorm(_SpectralNorm):
    """torch's, digit for digit, but in float32 also under autocast, and so that `torch.compile` traces it whole.

    Its products are on autocast's list of what bfloat16 may do, and there the largest singular value would be
    known to two or three digits.
    """

    def forward(self, weight: Tensor) -> Tensor:
        """Divide a weight by its largest singular value, after one more power iteration in training."""
        with torch.autocast(weight.device.type, enabled=False):
            return super().forward(weight)

    @torch.no_grad()
    def _power_method(self, weight_mat: Tensor, n_power_iterations: int) -> None:
        for _ in range(n_power_iterations):
            self._u.copy_(nn.functional.normalize(torch.mv(weight_mat, self._v), dim=0, eps=self.eps))
            self._v.copy_(nn.functional.normalize(torch.mv(weight_mat.H, self._u), dim=0, eps=self.eps))


def conv(channels_in: int, channels_out: int, kernel: int, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    """Return a spectrally normalised convolution that keeps (stride 1) or halves (stride 2) the size."""
    padding = (kernel - 1) // 2
    convolution = nn.Conv2d(channels_in, channels_out, kernel, stride, padding, bias=bias)
    register_parametrization(convolution, "weight", SpectralNorm(convolution.weight, 1, 0, 1e-12))
    return convolution
