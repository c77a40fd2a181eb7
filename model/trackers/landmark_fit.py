"""Fit a head to 68 landmarks a frame: Levenberg-Marquardt over a whole clip.

Identity is shared by the clip's frames; expression, pose and camera are each frame's own. Two phases:
identity and frames together on evenly spread key frames (the frames' blocks are eliminated by a Schur
complement), then every frame alone with identity held. Both are batched over frames, in float64, and
deterministic.

Minimised, per frame: sum over landmarks of w_l huber(|error_l| / sigma) + Gaussian priors, subject to
expression_low <= psi <= expression_high; sigma is `landmark_sigma` outer-eye distances as they would
be in frontal view, so the weight of a landmark does not depend on the image's size or the head's yaw.

Choice: iBUG's contour points 0-16 lie on the visible outline and slide over the skin as the head
turns. They are not moved along the mesh; they weigh `contour_weight`, and those on the averted side
fade linearly in sin(yaw), to nothing at `hidden_yaw_deg`.
Choice: the neck and the eyes keep their rest rotation (as in DECA; 68 landmarks do not show gaze).

Legend: B frames, S identity codes, D = E + P + C unknowns of a frame (expression, free pose, camera).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from model.heads.camera import DEEP3D_CENTRE_PX, DEEP3D_DISTANCE, DEEP3D_FOCAL_PX
from model.heads.head import HeadModel
from model.heads.rotation import matrix_to_axis_angle, matrix_to_yaw_pitch_roll
from model.trackers.landmark_head import LandmarkHead

NUM_LANDMARKS = 68
OUTER_EYES = (36, 45)
_CONTOUR = slice(0, 17)
_FREE_JOINTS = ("root", "jaw")
_CHUNK = 128  # frames a batch: their Jacobians stay in the cache
_DAMPING_START, _DAMPING_DOWN, _DAMPING_UP = 1e-3, 0.3, 5.0


@dataclass(frozen=True)
class FitSettings:
    """What the fitter weighs and how long it tries.

    Attributes:
        landmark_sigma: expected landmark error, in outer-eye distances.
        contour_weight: weight of contour points against the others, 0 to 1.
        hidden_yaw_deg: yaw at which the averted side's contour points count no more.
        huber_sigmas: error, in sigmas, beyond which the loss grows linearly.
        shape_sigma: standard deviation of the identity codes' prior.
        expression_sigma: standard deviation of the expression codes' prior, as a share of their bounds.
        joint_sigma_rad: standard deviation of the prior on joints other than the root, radians.
        identity_frames: key frames from which identity is fitted.
        identity_steps: Levenberg-Marquardt steps of the first phase.
        frame_steps: Levenberg-Marquardt steps of the second phase.
    """

    landmark_sigma: float
    contour_weight: float
    hidden_yaw_deg: float
    huber_sigmas: float
    shape_sigma: float
    expression_sigma: float
    joint_sigma_rad: float
    identity_frames: int
    identity_steps: int
    frame_steps: int


@dataclass(frozen=True)
class ClipFit:
    """A fitted clip, float64: shape (S,), expression (B, E), pose (B, 3J), camera (B, C) and more.

    `points` (B, 68, 2) are the fitted landmarks in the tracker frame's ndc; `error` (B, 68) their
    distances to the given ones in outer-eye distances of a frontal view.
    """

    shape: Tensor
    expression: Tensor
    pose: Tensor
    camera: Tensor
    points: Tensor
    error: Tensor


class LandmarkFitter:
    """Fits one head; make it once, call `fit` per clip."""

    def __init__(self, head: HeadModel, settings: FitSettings) -> None:
        self.head = head
        self.settings = settings
        self.reduced = LandmarkHead(head, _FREE_JOINTS)
        self.rest = self.reduced.rest_points()
        self.outer_eyes = float((self.rest[OUTER_EYES[0]] - self.rest[OUTER_EYES[1]]).norm())
        low = torch.from_numpy(head.arrays.expression_low).double()
        high = torch.from_numpy(head.arrays.expression_high).double()
        others = len(self.reduced.free_pose) + head.num_camera
        endless = torch.full((others,), math.inf, dtype=torch.float64)
        self.low, self.high = torch.cat([low, -endless]), torch.cat([high, endless])
        spread = (settings.expression_sigma * torch.maximum(low.abs(), high.abs())).clamp_min(1e-6)
        precision = torch.zeros(others, dtype=torch.float64)
        precision[3 : len(self.reduced.free_pose)] = settings.joint_sigma_rad**-2
        self.frame_prior = torch.cat([spread**-2, precision])  # (D,)
        self.shape_prior = settings.shape_sigma**-2

    @torch.no_grad()
    def fit(self, targets: Tensor, used: Tensor) -> ClipFit:
        """Fit one clip.

        Args:
            targets: (B, 68, 2) landmarks in the tracker frame's ndc, finite, B >= 1.
            used: (68,) bool, landmarks that the fit may see (the others are for validation).

        Raises:
            ValueError: another number of landmarks, or a value that is not finite.
        """
        if targets.shape[1:] != (NUM_LANDMARKS, 2) or not len(targets) or not targets.isfinite().all():
            raise ValueError(f"fit: targets must be (B >= 1, 68, 2) and finite, got {tuple(targets.shape)}")
        targets = targets.double()
        start, size = self._start(targets, used)
        count = min(self.settings.identity_frames, len(targets))
        keys = torch.linspace(0, len(targets) - 1, count).round().long()
        shape = self._fit_identity(_Frames(targets[keys], size[keys], used), start[keys])
        parts = [
            self._fit_frames(_Frames(targets[rows], size[rows], used), shape, start[rows])
            for rows in torch.arange(len(targets)).split(_CHUNK)
        ]
        expression, pose, camera = self._split(torch.cat(parts))
        points = self.reduced.points(shape, expression, pose, camera)
        error = (points - targets).norm(dim=-1) / size[:, None]
        return ClipFit(shape, expression, pose, camera, points, error)

    def _start(self, targets: Tensor, used: Tensor) -> tuple[Tensor, Tensor]:
        """Pose and camera of the mean head by an affine fit (POS); unknowns (B, D) and sizes (B,) in ndc."""
        inner = used.clone()
        inner[_CONTOUR] = False
        flip = targets.new_tensor([1.0, -1.0])  # ndc is y down, heads are y up
        seen, rest = targets[:, inner] * flip, self.rest[inner]
        affine = torch.linalg.pinv(rest - rest.mean(0)) @ (seen - seen.mean(1, keepdim=True))  # (B, 3, 2)
        left, singular, right = torch.linalg.svd(affine.transpose(1, 2), full_matrices=False)
        scale = singular.mean(-1).clamp_min(1e-6)
        rows = left @ right  # (B, 2, 3): the nearest two rows of a rotation
        rotation = torch.cat([rows, torch.linalg.cross(rows[:, :1], rows[:, 1:])], 1)
        if self.head.arrays.rotation == "deep3d_euler":
            root = matrix_to_yaw_pitch_roll(rotation)[:, [1, 0, 2]]
        else:
            root = matrix_to_axis_angle(rotation)
        unknowns = targets.new_zeros(len(targets), len(self.low))
        first = self.head.num_expression
        unknowns[:, first : first + 3] = root
        zero_shape = targets.new_zeros(self.head.num_shape)
        expression, pose, camera = self._split(unknowns)
        centre = self.reduced.posed_points(zero_shape, expression, pose)[:, inner].mean(1)
        shift = seen.mean(1) / scale[:, None] - centre[:, :2]
        if self.head.perspective:
            away = DEEP3D_FOCAL_PX / DEEP3D_CENTRE_PX / scale
            camera = torch.cat([shift, (DEEP3D_DISTANCE - away - centre[:, 2])[:, None]], 1)
        else:
            camera = torch.cat([scale[:, None], shift], 1)
        unknowns[:, -self.head.num_camera :] = camera
        return unknowns, scale * self.outer_eyes

    def _fit_identity(self, frames: "_Frames", unknowns: Tensor) -> Tensor:
        """First phase: the identity codes (S,) of key frames, their frames' unknowns (B, D) alongside."""
        shape = unknowns.new_zeros(self.head.num_shape)
        damping = _DAMPING_START
        for _ in range(self.settings.identity_steps):
            system = self._normal_equations(frames, shape, unknowns, with_shape=True)
            step = _schur_step(system, damping)
            new_shape = shape + step[0]
            new_unknowns = (unknowns + step[1]).clamp(self.low, self.high)
            before = self._cost(frames, shape, unknowns, system.weights).sum() + self._shape_cost(shape)
            after = self._cost(frames, new_shape, new_unknowns, system.weights).sum() + self._shape_cost(new_shape)
            if after < before:
                shape, unknowns, damping = new_shape, new_unknowns, damping * _DAMPING_DOWN
            else:
                damping *= _DAMPING_UP
        return shape

    def _fit_frames(self, frames: "_Frames", shape: Tensor, unknowns: Tensor) -> Tensor:
        """Second phase: the unknowns (B, D) of frames whose identity is known."""
        damping = unknowns.new_full((len(unknowns), 1), _DAMPING_START)
        for _ in range(self.settings.frame_steps):
            system = self._normal_equations(frames, shape, unknowns, with_shape=False)
            factor = torch.linalg.cholesky(_damped(system.hessian, damping))
            trial = unknowns - torch.cholesky_solve(system.gradient[..., None], factor)[..., 0]
            trial = trial.clamp(self.low, self.high)
            before = self._cost(frames, shape, unknowns, system.weights)
            better = (self._cost(frames, shape, trial, system.weights) < before)[:, None]
            unknowns = torch.where(better, trial, unknowns)
            damping = damping * torch.where(better, _DAMPING_DOWN, _DAMPING_UP)
        return unknowns

    def _normal_equations(self, frames: "_Frames", shape: Tensor, unknowns: Tensor, with_shape: bool) -> "_System":
        expression, pose, camera = self._split(unknowns)
        model = self.reduced.linearise(shape, expression, pose, camera, with_shape)
        sigma = self.settings.landmark_sigma * frames.size[:, None]  # (B, 1)
        error = (model.points - frames.targets) / sigma[..., None]
        weights = self._visibility(pose) * frames.used
        huber = (self.settings.huber_sigmas / error.norm(dim=-1).clamp_min(1e-9)).clamp_max(1.0)
        root = (weights * huber).sqrt()[..., None]  # (B, 68, 1)
        residual = (root * error).flatten(1)  # (B, 136)
        scale = (root / sigma[..., None])[..., None]
        by_frame = (scale * model.by_frame).flatten(1, 2)  # (B, 136, D)
        gradient = (by_frame.transpose(1, 2) @ residual[..., None])[..., 0] + self.frame_prior * unknowns
        held = ((unknowns <= self.low) & (gradient > 0)) | ((unknowns >= self.high) & (gradient < 0))
        free = (~held).double()  # a code pressed against its bound leaves this step's system
        by_frame = by_frame * free[:, None]
        hessian = by_frame.transpose(1, 2) @ by_frame
        hessian.diagonal(dim1=1, dim2=2).add_(self.frame_prior + 1e-9)
        by_shape = (scale * model.by_shape).flatten(1, 2)  # (B, 136, S)
        rows = by_shape.flatten(0, 1)
        shape_hessian = rows.T @ rows + self.shape_prior * torch.eye(rows.shape[1], dtype=rows.dtype)
        shape_gradient = rows.T @ residual.flatten() + self.shape_prior * shape[: rows.shape[1]]
        mixed = by_frame.transpose(1, 2) @ by_shape  # (B, D, S)
        return _System(weights, hessian, gradient * free, shape_hessian, shape_gradient, mixed)

    def _visibility(self, pose: Tensor) -> Tensor:
        """Weights (B, 68) of the landmarks before any robustness: 1, or less on the contour."""
        yaw = self.head.yaw_pitch_roll_rad(pose)[:, :1]
        side = torch.sign(self.rest[_CONTOUR, 0])  # -1: the viewer's left
        averted = (side * torch.sin(yaw) / math.sin(math.radians(self.settings.hidden_yaw_deg))).clamp(0.0, 1.0)
        weights = pose.new_ones(len(pose), NUM_LANDMARKS)
        weights[:, _CONTOUR] = self.settings.contour_weight * (1.0 - averted)
        return weights

    def _cost(self, frames: "_Frames", shape: Tensor, unknowns: Tensor, weights: Tensor) -> Tensor:
        """Half the minimised sum of each frame, (B,), at given landmark weights."""
        points = self.reduced.points(shape, *self._split(unknowns))
        error = (points - frames.targets).norm(dim=-1) / (self.settings.landmark_sigma * frames.size[:, None])
        knee = self.settings.huber_sigmas
        loss = torch.where(error < knee, 0.5 * error**2, knee * (error - 0.5 * knee))
        return (weights * loss).sum(1) + 0.5 * (self.frame_prior * unknowns**2).sum(1)

    def _shape_cost(self, shape: Tensor) -> Tensor:
        return 0.5 * self.shape_prior * (shape**2).sum()

    def _split(self, unknowns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Cut unknowns (B, D) into expression (B, E), full pose (B, 3J) and camera (B, C)."""
        sizes = [self.head.num_expression, len(self.reduced.free_pose), self.head.num_camera]
        expression, free, camera = unknowns.split(sizes, dim=1)
        pose = unknowns.new_zeros(len(unknowns), self.head.num_pose)
        pose[:, self.reduced.free_pose] = free
        return expression, pose, camera


@dataclass(frozen=True)
class _Frames:
    """Given landmarks (B, 68, 2), outer-eye distances (B,) in ndc, landmarks in use (68,)."""

    targets: Tensor
    size: Tensor
    used: Tensor


@dataclass(frozen=True)
class _System:
    """Normal equations of B frames around one point: blocks of the frames, of identity, and mixed."""

    weights: Tensor  # (B, 68)
    hessian: Tensor  # (B, D, D)
    gradient: Tensor  # (B, D)
    shape_hessian: Tensor  # (S, S)
    shape_gradient: Tensor  # (S,)
    mixed: Tensor  # (B, D, S)


def _damped(hessian: Tensor, damping: Tensor | float) -> Tensor:
    """Scale the diagonal by 1 + damping (Marquardt)."""
    return hessian + torch.diag_embed(hessian.diagonal(dim1=-2, dim2=-1) * damping)


def _schur_step(system: _System, damping: float) -> tuple[Tensor, Tensor]:
    """Solve identity and frames together; returns their steps (S,) and (B, D)."""
    factor = torch.linalg.cholesky(_damped(system.hessian, damping))
    eliminated = torch.cholesky_solve(torch.cat([system.mixed, system.gradient[..., None]], -1), factor)
    by_shape, by_frame = eliminated[..., :-1], eliminated[..., -1]
    rows = system.mixed.flatten(0, 1)  # (B D, S)
    reduced = _damped(system.shape_hessian, damping) - rows.T @ by_shape.flatten(0, 1)
    shape_step = torch.linalg.solve(reduced, rows.T @ by_frame.flatten() - system.shape_gradient)
    return shape_step, -by_frame - by_shape @ shape_step
