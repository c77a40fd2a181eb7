"""One step of bounded least squares where many frames share some unknowns.

Every frame has its own block of unknowns; only the shared ones couple the frames. The frames' blocks are
eliminated by their Schur complement, all at once: the cost is linear in the number of frames.

Legend: B frames, D unknowns of each frame, S shared unknowns (0 where they are held).
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class NormalEquations:
    """Gauss-Newton's system around the present unknowns, priors included.

    Attributes:
        cost: (B,) cost of each frame here.
        weights: (B, L) weights of the frame's observations, to be kept while a step is judged.
        hessian: (B, D, D), positive definite.
        gradient: (B, D).
        shared_hessian: (S, S).
        shared_gradient: (S,).
        mixed: (B, D, S).
    """

    cost: Tensor
    weights: Tensor
    hessian: Tensor
    gradient: Tensor
    shared_hessian: Tensor
    shared_gradient: Tensor
    mixed: Tensor


def bounded_step(
    system: NormalEquations, damping: Tensor, unknowns: Tensor, bounds: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """Solve the damped system within bounds.

    Unknowns that are pressed against their bound stay there. Those that would cross it are put on it, and
    the others are solved for once more.

    Args:
        system: around `unknowns`.
        damping: (B, 1) share by which diagonals grow (Marquardt); the shared block takes the largest.
        unknowns: (B, D), within bounds.
        bounds: low and high (D,).

    Returns:
        The step of the shared unknowns (S,), and the frames' new unknowns (B, D).
    """
    low, high = bounds
    pressed = ((unknowns <= low) & (system.gradient > 0)) | ((unknowns >= high) & (system.gradient < 0))
    trial = unknowns + _solve(system, damping, pressed, torch.zeros_like(unknowns))[1]
    crossing = (trial < low) | (trial > high)
    move = torch.where(crossing, trial.clamp(low, high) - unknowns, 0.0)
    shared_step, step = _solve(system, damping, pressed | crossing, move)
    return shared_step, (unknowns + step).clamp(low, high)


def _solve(system: NormalEquations, damping: Tensor, fixed: Tensor, move: Tensor) -> tuple[Tensor, Tensor]:
    """Step of the shared unknowns (S,) and of the frames (B, D), where `fixed` ones do `move` (else 0) and no more."""
    keep = (~fixed).to(move.dtype)
    hessian = system.hessian * (keep[:, :, None] * keep[:, None])
    hessian.diagonal(dim1=1, dim2=2).mul_(1.0 + damping).add_(fixed)
    gradient = keep * (system.gradient + (system.hessian @ move[..., None])[..., 0])
    mixed = keep[..., None] * system.mixed
    factor = torch.linalg.cholesky(hessian)
    eliminated = torch.cholesky_solve(torch.cat([mixed, gradient[..., None]], -1), factor)
    by_shared, by_frame = eliminated[..., :-1], eliminated[..., -1]
    rows = mixed.flatten(0, 1)  # (B D, S)
    reduced = system.shared_hessian + torch.diag(system.shared_hessian.diagonal() * damping.max())
    reduced = reduced - rows.T @ by_shared.flatten(0, 1)
    shared_gradient = system.shared_gradient + system.mixed.flatten(0, 1).T @ move.flatten()
    shared_step = torch.linalg.solve(reduced, rows.T @ by_frame.flatten() - shared_gradient)
    return shared_step, move - by_frame - by_shared @ shared_step
