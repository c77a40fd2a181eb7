"""The convolution of generators and discriminators that are trained here."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.parametrize import register_parametrization

SLOPE = 0.2  # of every leaky ReLU


class SpectralNorm(_SpectralNorm):
    """torch's, in half the operations, in float32 also under autocast, and so that `torch.compile` traces it whole.

    Its products are on autocast's list of what bfloat16 may do, and there the largest singular value would be
    known to two or three digits.
    """

    def forward(self, weight: Tensor) -> Tensor:
        """Divide a weight by its largest singular value, after one more power iteration in training."""
        with torch.autocast(weight.device.type, enabled=False):
            return _Divided.apply(weight, *self._estimated(weight.detach()))

    @torch.no_grad()
    def _estimated(self, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The largest singular value, and its vectors u and v; W is the weight with a row for each output."""
        matrix = self._reshape_weight_to_matrix(weight)
        if not self.training:
            return torch.vdot(self._u, torch.mv(matrix, self._v)), self._u, self._v
        v = self._v
        for _ in range(self.n_power_iterations):
            along = torch.mv(matrix, v)
            u = along / torch.linalg.vector_norm(along).clamp_min(self.eps)
            back = torch.mv(matrix.mT, u)
            largest = torch.linalg.vector_norm(back).clamp_min(self.eps)  # as v is W'u / |W'u|, u'Wv is |W'u|
            v = back / largest
        self._u.copy_(u)
        self._v.copy_(v)
        return largest, u, v


class _Divided(torch.autograd.Function):
    """W / s, where the gradient of s = u'Wv is uv': four operations backward, where autograd takes ten."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, largest: Tensor, u: Tensor, v: Tensor) -> Tensor:
        divided = weight / largest
        ctx.save_for_backward(divided, largest, u, v)
        return divided

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        divided, largest, u, v = ctx.saved_tensors
        straight = grad / largest
        along = (straight * divided).sum()
        rows = (u * -along).view(-1, *(1 for _ in range(grad.dim() - 1)))
        return torch.addcmul(straight, rows, v.view(1, *grad.shape[1:])), None, None, None


def conv(channels_in: int, channels_out: int, kernel: int, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    """Return a spectrally normalised convolution that keeps (stride 1) or halves (stride 2) the size."""
    padding = (kernel - 1) // 2
    convolution = nn.Conv2d(channels_in, channels_out, kernel, stride, padding, bias=bias)
    register_parametrization(convolution, "weight", SpectralNorm(convolution.weight, 1, 0, 1e-12))
    return convolution
