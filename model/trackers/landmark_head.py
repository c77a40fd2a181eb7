"""The 68 landmarks of a head as a small function with cheap derivatives, for fitting.

Given the joint rotations, a posed landmark is linear in the identity and expression codes. So each
landmark l is written C_l(pose) u_l(codes): u_l stacks the rest positions of the mesh corners around
the landmark and of all joints, and C_l is their blended rigid motion. Only the few pose and camera
numbers are differentiated otherwise: by central differences, which in float64 are good to ten digits
and need no knowledge of the camera.

Where the contour slides over the mesh with the head's yaw (FLAME), every place that a landmark may take is a
candidate with rows of its own, and each frame shows 68 of them. Which ones is settled by the pose before anything is
differentiated: the derivatives are those of the shown candidates.

Legend: B frames, L = 68 landmarks, N candidates (68, or 79 * 17 + 51), c corners a landmark, J joints,
D = 3c + 3J length of u_l, S and E identity and expression codes, P free pose entries.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model.heads.contour import CONTOUR_POINTS, CONTOUR_YAWS, contour_rows
from model.heads.head import HeadModel

_STEP = 1e-5  # of central differences, in radians, head units or units of the camera's numbers


@dataclass(frozen=True)
class Linearised:
    """Landmarks of B frames and their derivatives, in the tracker frame's ndc.

    Attributes:
        points: (B, 68, 2).
        by_shape: (B, 68, 2, S), or with S = 0 where it was not asked for.
        by_frame: (B, 68, 2, E + P + C) by expression, free pose and camera, in this order.
    """

    points: Tensor
    by_shape: Tensor
    by_frame: Tensor


class LandmarkHead:
    """A head reduced to its landmarks, in float64.

    Args:
        head: any head with 68 landmarks.
        free_joints: names of the joints that a fit may turn; the others keep their rotation. Names
            that the head lacks are ignored, so one setting serves heads with and without a jaw.
    """

    def __init__(self, head: HeadModel, free_joints: tuple[str, ...]) -> None:
        arrays = head.arrays
        self.head = head
        self.num_joints = head.num_joints
        names = [str(n) for n in arrays.joint_names]
        self.free_pose = [3 * j + axis for j, name in enumerate(names) if name in free_joints for axis in range(3)]
        if self.free_pose[:3] != [0, 1, 2]:
            raise ValueError(
                f"head {head.name}: the first joint, {names[0]!r}, must be among free_joints {free_joints}"
            )
        triangles, barycentric = _candidates(head)
        corners = torch.from_numpy(arrays.triangles[triangles]).long()  # (N, 3)
        share = torch.from_numpy(barycentric).double()  # (N, 3)
        count = len(corners)
        self.rigid = self.num_joints == 1  # then a landmark moves as one point, not as three corners
        self.corner_joint = share[..., None] * torch.from_numpy(arrays.skin_weights).double()[corners]  # (N, 3, J)
        if self.rigid:
            self.corner_joint = torch.ones(count, 1, 1, dtype=torch.float64)

        def corner_rows(field: Tensor) -> Tensor:  # (..., V, 3) -> (..., N, 3c)
            picked = field[..., corners, :].double()
            picked = (picked * share[..., None]).sum(-2, keepdim=True) if self.rigid else picked
            return picked.flatten(-2)

        regressor = torch.from_numpy(arrays.joint_regressor).double()

        def with_joints(field: np.ndarray) -> Tensor:  # (K, V, 3) -> (K, N, D)
            rows = torch.from_numpy(field)
            joints = (regressor @ rows.double()).flatten(1)[:, None].expand(-1, count, -1)
            return torch.cat([corner_rows(rows), joints], -1)

        self.rest = with_joints(arrays.template[None])[0]  # (N, D)
        self.shape_rows = with_joints(arrays.shape_basis)  # (S, N, D)
        self.expression_rows = with_joints(arrays.expression_basis)  # (E, N, D)
        self.corrective_rows = corner_rows(torch.from_numpy(arrays.pose_basis))  # (9(J-1), N, 3c)
        # (N, D, K): codes last, ready for one batched product with the camera's and the pose's Jacobian
        self._shape_columns = self.shape_rows.permute(1, 2, 0).contiguous()
        self._expression_columns = self.expression_rows.permute(1, 2, 0).contiguous()

    def rest_points(self) -> Tensor:
        """Return the landmarks of the mean, neutral, unposed head, (68, 3) in head units."""
        pose = torch.zeros(1, self.head.num_pose, dtype=torch.float64)
        shown = self._shown(pose)
        return self._posed(_pick(self.rest[None], shown), pose, shown)[0]

    def points(self, shape: Tensor, expression: Tensor, pose: Tensor, camera: Tensor) -> Tensor:
        """Project the landmarks of B frames to the tracker frame's ndc, (B, 68, 2).

        Args:
            shape: (S,) shared by the frames, or (B, S).
            expression: (B, E).
            pose: (B, 3J).
            camera: (B, C).
        """
        return self.head.project(self.posed_points(shape, expression, pose), camera)[..., :2]

    def posed_points(self, shape: Tensor, expression: Tensor, pose: Tensor) -> Tensor:
        """Return the posed landmarks of B frames, (B, 68, 3) in head units (arguments as `points`)."""
        shown = self._shown(pose)
        return self._posed(self._stacked(shape, expression, shown), pose, shown)

    def linearise(
        self, shape: Tensor, expression: Tensor, pose: Tensor, camera: Tensor, with_shape: bool
    ) -> Linearised:
        """Project the landmarks and differentiate them (arguments as `points`)."""
        shown = self._shown(pose)
        stacked = self._stacked(shape, expression, shown)  # (B, 68, D)
        posed = self._posed(stacked, pose, shown)  # (B, 68, 3)
        project = self.head.project
        by_point = _derivative(lambda d: project(posed + d, camera)[..., :2], 3)  # (B, 68, 2, 3)
        by_camera = _derivative(lambda d: project(posed, camera + d)[..., :2], camera.shape[1])
        free = torch.eye(pose.shape[1], dtype=pose.dtype)[self.free_pose]  # (P, 3J)
        by_pose = by_point @ _derivative(lambda d: self._posed(stacked, pose + d @ free, shown), len(free))
        by_rest = by_point @ self._motion(pose, shown)  # (B, 68, 2, D)

        def by_codes(columns: Tensor) -> Tensor:  # (N, D, K) -> (B, 68, 2, K)
            if shown is None:
                return _shared_product(by_rest, columns)
            sliding = by_rest[:, :CONTOUR_POINTS] @ columns[shown[:, :CONTOUR_POINTS]]
            fixed = _shared_product(by_rest[:, CONTOUR_POINTS:], columns[CONTOUR_YAWS * CONTOUR_POINTS :])
            return torch.cat([sliding, fixed], 1)

        by_shape = by_codes(self._shape_columns if with_shape else self._shape_columns[..., :0])
        by_frame = torch.cat([by_codes(self._expression_columns), by_pose, by_camera], -1)
        return Linearised(self.head.project(posed, camera)[..., :2], by_shape, by_frame)

    def _shown(self, pose: Tensor) -> Tensor | None:
        """Which candidate each landmark of each frame is, (B, 68); None where they are one and the same."""
        if not self.head.sliding_contour:
            return None
        rows = contour_rows(self.head.contour_rotation(pose))
        sliding = CONTOUR_POINTS * rows[:, None] + torch.arange(CONTOUR_POINTS)
        fixed = torch.arange(CONTOUR_YAWS * CONTOUR_POINTS, len(self.rest)).expand(len(rows), -1)
        return torch.cat([sliding, fixed], 1)

    def _stacked(self, shape: Tensor, expression: Tensor, shown: Tensor | None) -> Tensor:
        identity = self.rest + (shape @ self.shape_rows.flatten(1)).unflatten(-1, self.rest.shape)
        return _pick(identity + (expression @ self.expression_rows.flatten(1)).unflatten(1, self.rest.shape), shown)

    def _posed(self, stacked: Tensor, pose: Tensor, shown: Tensor | None) -> Tensor:
        """Move stacked rest positions (B, 68, D) by pose (B, 3J); returns (B, 68, 3)."""
        if self.corrective_rows.shape[0]:
            rotations = self.head.joint_rotations(pose)[:, 1:]
            offsets = (rotations - torch.eye(3, dtype=pose.dtype)).flatten(1) @ self.corrective_rows.flatten(1)
            offsets = _pick(offsets.unflatten(1, (len(self.rest), -1)), shown)
            joints = offsets.new_zeros(len(offsets), 68, 3 * self.num_joints)
            stacked = stacked + torch.cat([offsets, joints], -1)
        return (self._motion(pose, shown) @ stacked[..., None])[..., 0]

    def _motion(self, pose: Tensor, shown: Tensor | None) -> Tensor:
        """Return C (B, 68, 3, D): how each posed landmark depends on rest corners and joints."""
        rotations = self.head.joint_rotations(pose)  # (B, J, 3, 3)
        pick = torch.eye(3 * self.num_joints, dtype=pose.dtype).unflatten(0, (-1, 3))  # (J, 3, 3J): joint j of all
        turn, place = [rotations[:, 0]], [pick[0].expand(len(pose), -1, -1)]
        for j, parent in enumerate(self.head.arrays.joint_parents.tolist()[1:], start=1):
            turn.append(turn[parent] @ rotations[:, j])
            place.append(place[parent] + turn[parent] @ (pick[j] - pick[parent]))
        turned = torch.stack(turn, 1)  # (B, J, 3, 3)
        moved = torch.stack(place, 1) - turned @ pick  # (B, J, 3, 3J)
        if shown is not None:
            share = self.corner_joint[shown]  # (B, 68, c, J)
            corners = torch.einsum("blcj,bjxy->blxcy", share, turned).flatten(3)
            return torch.cat([corners, torch.einsum("blcj,bjxd->blxd", share, moved)], -1)
        corners = torch.einsum("lcj,bjxy->blxcy", self.corner_joint, turned).flatten(3)
        return torch.cat([corners, torch.einsum("lcj,bjxd->blxd", self.corner_joint, moved)], -1)


def _candidates(head: HeadModel) -> tuple[np.ndarray, np.ndarray]:
    """Triangles (N,) and barycentric places (N, 3) of all places that landmarks may take; contour rows come first."""
    arrays = head.arrays
    if arrays.contour_triangles is None or arrays.contour_barycentric is None:
        return arrays.landmark_triangles, arrays.landmark_barycentric
    triangles = np.concatenate([arrays.contour_triangles.ravel(), arrays.landmark_triangles[CONTOUR_POINTS:]])
    places = np.concatenate([arrays.contour_barycentric.reshape(-1, 3), arrays.landmark_barycentric[CONTOUR_POINTS:]])
    return triangles, places


def _pick(values: Tensor, shown: Tensor | None) -> Tensor:
    """Take the shown candidates of each frame: (B or 1, N, K) -> (B, 68, K)."""
    if shown is None:
        return values
    index = shown[..., None].expand(-1, -1, values.shape[-1])
    return values.expand(len(shown), -1, -1).gather(1, index)


def _shared_product(by_rest: Tensor, columns: Tensor) -> Tensor:
    """Multiply (B, L, 2, D) by (L, D, K), shared by the frames, in one batched product: (B, L, 2, K)."""
    stacked = by_rest.permute(1, 0, 2, 3).flatten(1, 2)  # (L, 2B, D)
    return (stacked @ columns).unflatten(1, (-1, 2)).permute(1, 0, 2, 3)


def _derivative(function: Callable[[Tensor], Tensor], count: int) -> Tensor:
    """Differentiate by `count` numbers at zero; the derivatives come last."""
    steps = _STEP * torch.eye(count, dtype=torch.float64)
    return torch.stack([(function(d) - function(-d)) / (2 * _STEP) for d in steps], -1)
