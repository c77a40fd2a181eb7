"""Fit a head to 68 landmarks a frame: Levenberg-Marquardt over a whole clip.

Identity is shared by the clip's frames; expression, pose and camera are each frame's own. Two phases:
identity and frames together on evenly spread key frames (the frames' blocks are eliminated by a Schur
complement), then every frame alone with identity held. Both are batched over frames, in float64, and
deterministic.

Minimised, per frame: sum over landmarks of w_l huber(|error_l| / sigma) + Gaussian priors, subject to
expression_low <= psi <= expression_high; sigma is `landmark_sigma` outer-eye distances as they would
be in frontal view, so the weight of a landmark does not depend on the image's size or the head's yaw.

Choice: iBUG's contour points 0-16 lie on the visible outline and slide over the skin as the head
turns. They weigh `contour_weight`. On a head that does not move them along the mesh, those on the averted side
fade linearly in sin(yaw), to nothing at `hidden_yaw_deg`; FLAME's contour slides with the yaw, and need not fade.
Choice: the frames of a clip repeat the same errors, the detector's and the head model's, so they do
not count as independent: the identity prior is added once a frame, and identity does not depend on
how many frames there are.
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
from model.trackers.shared_least_squares import NormalEquations, bounded_step

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
        shape_sigma: standard deviation of the identity codes' prior, against one frame's landmarks.
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

    Where each frame was fitted by itself, shape is (B, S).
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

    @torch.no_grad()
    def fit(self, targets: Tensor, used: Tensor) -> ClipFit:
        """Fit one clip.

        Args:
            targets: (B, 68, 2) landmarks in the tracker frame's ndc, finite, B >= 1.
            used: (68,) bool, landmarks that the fit may see (the others are for validation).

        Raises:
            ValueError: another number of landmarks, or a value that is not finite.
        """
        targets = _checked(targets)
        start, size = self._start(targets, used)
        count = min(self.settings.identity_frames, len(targets))
        keys = torch.linspace(0, len(targets) - 1, count).round().long()
        shape, solved = self._descend(_Frames(targets[keys], size[keys], used), None, start[keys])
        nearest = solved[(torch.arange(len(targets))[:, None] - keys).abs().argmin(1)]
        parts = []
        for rows in torch.arange(len(targets)).split(_CHUNK):
            frames = _Frames(targets[rows], size[rows], used)
            parts.append(self._descend(frames, shape, self._better(frames, shape, start[rows], nearest[rows]))[1])
        return self._fitted(targets, size, shape, torch.cat(parts))

    @torch.no_grad()
    def fit_each(self, targets: Tensor, used: Tensor) -> ClipFit:
        """Fit images that share nothing, identity included: each as `fit` does a clip of one frame, side by side.

        Arguments and errors as for `fit`.
        """
        targets = _checked(targets)
        start, size = self._start(targets, used)
        shapes, found = [], []
        for rows in torch.arange(len(targets)).split(_CHUNK):
            frames = _Frames(targets[rows], size[rows], used)
            shape, solved = self._descend_each(frames, start[rows])
            shapes.append(shape)
            found.append(self._descend(frames, shape, self._better(frames, shape, start[rows], solved))[1])
        return self._fitted(targets, size, torch.cat(shapes), torch.cat(found))

    def _fitted(self, targets: Tensor, size: Tensor, shape: Tensor, unknowns: Tensor) -> ClipFit:
        expression, pose, camera = self._split(unknowns)
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

    def _better(self, frames: "_Frames", shape: Tensor, one: Tensor, other: Tensor) -> Tensor:
        """Choose for each frame the start of less cost, (B, D)."""
        costs = []
        for unknowns in (one, other):
            expression, pose, camera = self._split(unknowns)
            points = self.reduced.points(shape, expression, pose, camera)
            costs.append(self._cost(frames, points, unknowns, self._visibility(pose)))
        return torch.where((costs[0] < costs[1])[:, None], one, other)

    def _descend(self, frames: "_Frames", given: Tensor | None, unknowns: Tensor) -> tuple[Tensor, Tensor]:
        """Levenberg-Marquardt from unknowns (B, D): for frames whose identity is given, or together with it.

        With identity given each frame has its own damping and takes or refuses its own step; otherwise all
        do so together. Returns identity (S,) and unknowns (B, D).
        """
        joint = given is None
        shape = unknowns.new_zeros(self.head.num_shape) if given is None else given  # (S,), or (B, S) where given
        prior = len(unknowns) * self.settings.shape_sigma**-2 if joint else 0.0
        damping = unknowns.new_full((len(unknowns), 1), _DAMPING_START)
        for _ in range(self.settings.identity_steps if joint else self.settings.frame_steps):
            system = self._normal_equations(frames, shape, unknowns, joint)
            if joint:
                system.shared_hessian.diagonal().add_(prior)
                system.shared_gradient.add_(prior * shape)
            shape_step, trial = bounded_step(system, damping, unknowns, (self.low, self.high))
            new_shape = shape + shape_step if joint else shape
            points = self.reduced.points(new_shape, *self._split(trial))
            gain = system.cost - self._cost(frames, points, trial, system.weights)
            if joint:
                gain = (gain.sum() + 0.5 * prior * (shape.dot(shape) - new_shape.dot(new_shape))).expand(len(gain))
            better = (gain > 0)[:, None]
            shape = torch.where(better[0], new_shape, shape)
            unknowns = torch.where(better, trial, unknowns)
            damping = damping * torch.where(better, _DAMPING_DOWN, _DAMPING_UP)
        return shape, unknowns

    def _descend_each(self, frames: "_Frames", start: Tensor) -> tuple[Tensor, Tensor]:
        """The first phase for B frames that share no identity: (B, S) and unknowns (B, D), from (B, D)."""
        count = self.head.num_shape
        prior = self.settings.shape_sigma**-2
        endless = start.new_full((count,), math.inf)
        bounds = torch.cat([-endless, self.low]), torch.cat([endless, self.high])
        both = torch.cat([start.new_zeros(len(start), count), start], 1)  # (B, S + D)
        damping = start.new_full((len(start), 1), _DAMPING_START)
        for _ in range(self.settings.identity_steps):
            system = self._own_equations(frames, both[:, :count], both[:, count:], prior)
            _, trial = bounded_step(system, damping, both, bounds)
            shape, unknowns = trial[:, :count], trial[:, count:]
            points = self.reduced.points(shape, *self._split(unknowns))
            gain = system.cost - self._cost(frames, points, unknowns, system.weights)
            gain = gain + 0.5 * prior * (both[:, :count].square().sum(1) - shape.square().sum(1))
            better = (gain > 0)[:, None]
            both = torch.where(better, trial, both)
            damping = damping * torch.where(better, _DAMPING_DOWN, _DAMPING_UP)
        return both[:, :count], both[:, count:]

    def _own_equations(self, frames: "_Frames", shape: Tensor, unknowns: Tensor, prior: float) -> NormalEquations:
        """The equations of frames whose identity is their own: it leads the unknowns of each, and none is shared."""
        model = self._weighed(frames, shape, unknowns, with_shape=True)
        jacobian = torch.cat([model.by_shape, model.by_frame], -1)  # (B, 136, S + D)
        own = unknowns.new_full((self.head.num_shape,), prior)
        gradient = (jacobian.mT @ model.residual[..., None])[..., 0]
        gradient = gradient + torch.cat([own * shape, self.frame_prior * unknowns], 1)
        hessian = jacobian.mT @ jacobian
        hessian.diagonal(dim1=1, dim2=2).add_(torch.cat([own, self.frame_prior + 1e-9]))
        none = unknowns.new_zeros(0)
        return NormalEquations(
            model.cost,
            model.weights,
            hessian,
            gradient,
            none.reshape(0, 0),
            none,
            hessian.new_zeros(*gradient.shape, 0),
        )

    def _normal_equations(self, frames: "_Frames", shape: Tensor, unknowns: Tensor, joint: bool) -> NormalEquations:
        model = self._weighed(frames, shape, unknowns, with_shape=joint)
        by_frame = model.by_frame
        gradient = (by_frame.mT @ model.residual[..., None])[..., 0] + self.frame_prior * unknowns
        hessian = by_frame.mT @ by_frame
        hessian.diagonal(dim1=1, dim2=2).add_(self.frame_prior + 1e-9)
        rows = model.by_shape.flatten(0, 1)
        return NormalEquations(
            cost=model.cost,
            weights=model.weights,
            hessian=hessian,
            gradient=gradient,
            shared_hessian=rows.T @ rows,
            shared_gradient=rows.T @ model.residual.flatten(),
            mixed=by_frame.mT @ model.by_shape,
        )

    def _weighed(self, frames: "_Frames", shape: Tensor, unknowns: Tensor, with_shape: bool) -> "_Weighed":
        """The landmarks' errors and their derivatives, each by its weight."""
        expression, pose, camera = self._split(unknowns)
        model = self.reduced.linearise(shape, expression, pose, camera, with_shape=with_shape)
        sigma = self.settings.landmark_sigma * frames.size[:, None]  # (B, 1)
        error = (model.points - frames.targets) / sigma[..., None]
        weights = self._visibility(pose) * frames.used
        huber = (self.settings.huber_sigmas / error.norm(dim=-1).clamp_min(1e-9)).clamp_max(1.0)
        root = (weights * huber).sqrt()[..., None]  # (B, 68, 1)
        residual = (root * error).flatten(1)  # (B, 136)
        scale = (root / sigma[..., None])[..., None]
        by_frame = (scale * model.by_frame).flatten(1, 2)  # (B, 136, D)
        by_shape = (scale * model.by_shape).flatten(1, 2)  # (B, 136, S)
        return _Weighed(self._cost(frames, model.points, unknowns, weights), weights, residual, by_frame, by_shape)

    def _visibility(self, pose: Tensor) -> Tensor:
        """Weights (B, 68) of the landmarks before any robustness: 1, or less on the contour."""
        weights = pose.new_ones(len(pose), NUM_LANDMARKS)
        if self.head.sliding_contour:
            weights[:, _CONTOUR] = self.settings.contour_weight
            return weights
        yaw = self.head.yaw_pitch_roll_rad(pose)[:, :1]
        side = torch.sign(self.rest[_CONTOUR, 0])  # -1: the viewer's left
        averted = (side * torch.sin(yaw) / math.sin(math.radians(self.settings.hidden_yaw_deg))).clamp(0.0, 1.0)
        weights[:, _CONTOUR] = self.settings.contour_weight * (1.0 - averted)
        return weights

    def _cost(self, frames: "_Frames", points: Tensor, unknowns: Tensor, weights: Tensor) -> Tensor:
        """Half the minimised sum of each frame, (B,), for placed landmarks (B, 68, 2) and given weights."""
        error = (points - frames.targets).norm(dim=-1) / (self.settings.landmark_sigma * frames.size[:, None])
        knee = self.settings.huber_sigmas
        loss = torch.where(error < knee, 0.5 * error**2, knee * (error - 0.5 * knee))
        return (weights * frames.used * loss).sum(1) + 0.5 * (self.frame_prior * unknowns**2).sum(1)

    def _split(self, unknowns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Cut unknowns (B, D) into expression (B, E), full pose (B, 3J) and camera (B, C)."""
        sizes = [self.head.num_expression, len(self.reduced.free_pose), self.head.num_camera]
        expression, free, camera = unknowns.split(sizes, dim=1)
        pose = unknowns.new_zeros(len(unknowns), self.head.num_pose)
        pose[:, self.reduced.free_pose] = free
        return expression, pose, camera


def _checked(targets: Tensor) -> Tensor:
    """Targets as float64; see `LandmarkFitter.fit`."""
    if targets.shape[1:] != (NUM_LANDMARKS, 2) or not len(targets) or not targets.isfinite().all():
        raise ValueError(f"fit: targets must be (B >= 1, 68, 2) and finite, got {tuple(targets.shape)}")
    return targets.double()


@dataclass(frozen=True)
class _Weighed:
    """Costs (B,), weights (B, 68), residuals (B, 136) and their derivatives (B, 136, D) and (B, 136, S)."""

    cost: Tensor
    weights: Tensor
    residual: Tensor
    by_frame: Tensor
    by_shape: Tensor


@dataclass(frozen=True)
class _Frames:
    """Given landmarks (B, 68, 2), outer-eye distances (B,) in ndc, landmarks in use (68,)."""

    targets: Tensor
    size: Tensor
    used: Tensor
