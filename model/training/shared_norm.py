"""BatchNorm by the statistics of a whole batch whose shares lie in several processes, on the CPU and on CUDA.

torch's SyncBatchNorm is for CUDA alone. This one is made of ordinary operations and one all-reduce forward and one
backward, so a step of N processes is the step of one but for the order of sums.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from model.training.replicas import ALONE, Replicas


class SharedBatchNorm(_BatchNorm):
    """The layer that takes a BatchNorm's place in a team; it has the same parameters, buffers and names.

    Shares must be equally large. Statistics are float32 or wider also under autocast; the result has the input's dtype.
    """

    team: Replicas

    @classmethod
    def of(cls, norm: _BatchNorm, team: Replicas) -> "SharedBatchNorm":
        """Make one that shares the parameters and buffers of a BatchNorm.

        Raises:
            ValueError: it keeps no running statistics, or a cumulative average of them.
        """
        if norm.momentum is None or not norm.track_running_stats:
            raise ValueError(f"{norm} keeps no running statistics by a momentum, and cannot be shared by processes")
        shared = cls(norm.num_features, norm.eps, norm.momentum, norm.affine)
        shared.weight, shared.bias = norm.weight, norm.bias
        for name, buffer in norm.named_buffers(recurse=False):
            setattr(shared, name, buffer)
        shared.team = team
        return shared.train(norm.training)

    def _check_input_dim(self, input: Tensor) -> None:
        """Any number of axes after the channels."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise this process's share (B, C, ...)."""
        if not self.training:
            return super().forward(input)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        with torch.autocast(input.device.type, enabled=False):
            wide = input.to(torch.promote_types(input.dtype, torch.float32))
            mean, var = self._statistics(wide)
            count = wide.numel() // wide.shape[1] * self.team.count
            with torch.no_grad():
                self.num_batches_tracked.add_(1)
                self.running_mean.lerp_(mean.detach().to(self.running_mean.dtype), self.momentum)
                unbiased = var.detach() * (count / (count - 1))
                self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum)
            scale = torch.rsqrt(var + self.eps)
            if self.affine:
                scale = scale * self.weight
            shift = -mean * scale
            if self.affine:
                shift = shift + self.bias
            across = (1, -1, *(1 for _ in input.shape[2:]))
            return torch.addcmul(shift.view(across), wide, scale.view(across)).to(input.dtype)

    def _statistics(self, share: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and biased variance (C,) of the whole batch, from the shares': mean squares would lose digits."""
        axes = [axis for axis in range(share.ndim) if axis != 1]
        var, mean = torch.var_mean(share, axes, correction=0)
        rows = [torch.zeros_like(torch.stack([mean, var])) for _ in range(self.team.count)]
        rows[self.team.rank] = torch.stack([mean, var])
        means, variances = _Sum.apply(torch.stack(rows), self.team).unbind(1)
        whole = means.mean(0)
        return whole, variances.mean(0) + (means - whole).square().mean(0)


class _Sum(torch.autograd.Function):
    """Sum over processes. Each one's loss depends on the sum, so its gradient is the sum of all their gradients."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, team: Replicas) -> Tensor:
        ctx.team = team
        total = tensor.clone()
        team.sum(total)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        total = grad.contiguous().clone()
        ctx.team.sum(total)
        return total, None


def share_statistics(network: nn.Module, team: Replicas) -> None:
    """Let every BatchNorm below a network normalise by the whole batch of a team; alone it does so anyway.

    Choice: done on CUDA; on the CPU each process normalises by its own share, as before, unless it is asked for.
    """
    if team.count == 1:
        return
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, _BatchNorm) and not isinstance(child, SharedBatchNorm):
                setattr(module, name, SharedBatchNorm.of(child, team))


@contextmanager
def by_own_statistics(*networks: nn.Module) -> Iterator[None]:
    """Within it this process normalises by its own pairs, so that it may run the networks without its team."""
    shared = [module for network in networks for module in network.modules() if isinstance(module, SharedBatchNorm)]
    teams = [module.team for module in shared]
    for module in shared:
        module.team = ALONE
    try:
        yield
    finally:
        for module, team in zip(shared, teams, strict=True):
            module.team = team
