"""A head posed with stated roundings: what `HeadModel` makes, with the same bits on every processor."""

import numpy as np
import torch
from torch import Tensor

from model.frame.coords import apply_affine
from model.heads.fit import HeadFit
from model.heads.head import HeadModel
from pipeline.puppets.exact.arithmetic import fused, turned, weighted_sum, weighted_sum_of_one


class Posing:
    """Poses one head.

    Args:
        head: the head; it must have no pose basis, as the puppets' have none.

    Raises:
        ValueError: the head has a pose basis.
    """

    def __init__(self, head: HeadModel) -> None:
        if head.pose_basis.shape[0]:
            raise ValueError(f"head {head.name} has a pose basis, which is posed by no puppet")
        self.head = head
        self._everywhere = _Chosen(head, np.arange(head.num_vertices))
        regressor = head.joint_regressor.numpy()
        self._held = _Chosen(head, np.flatnonzero(regressor.any(0)))  # vertices that joints hang on
        self._regressor = np.ascontiguousarray(regressor[:, self._held.vertices])
        self._marked = _Chosen(head, torch.unique(head.landmark_vertices).numpy())
        self._persons: dict[int, tuple[bytes, np.ndarray]] = {}  # number of vertices -> codes, their part of the sum

    def vertices(self, shape: Tensor, expression: Tensor, pose: Tensor) -> Tensor:
        """Deform and pose the mesh: (B, V, 3) in head units; arguments as those of `HeadModel.vertices`."""
        return self._posed(self._everywhere, shape, expression, pose)

    def landmarks(self, shape: Tensor, expression: Tensor, pose: Tensor) -> Tensor:
        """Return the 68 landmarks (B, 68, 3) in head units, by posing no other vertices."""
        verts = torch.zeros(len(pose), self.head.num_vertices, 3)
        verts[:, self._marked.vertices] = self._posed(self._marked, shape, expression, pose)
        return self.head.landmarks_of(verts, pose)

    def place_landmarks(self, fit: HeadFit) -> Tensor:
        """Return the 68 landmarks (B, 68, 2) in the clip frame's ndc."""
        marks = self.landmarks(fit.shape, fit.expression, fit.pose)
        return apply_affine(fit.tracker_map, self.head.project(marks, fit.camera)[..., :2])

    def _shaped(self, chosen: "_Chosen", shape: np.ndarray, expression: np.ndarray) -> np.ndarray:
        """Chosen vertices (n,) with their codes, before any joint turns: (B, n, 3)."""
        if len(shape) == 1:
            codes = np.concatenate([shape, expression], 1)[0]
            offset = weighted_sum_of_one(codes, self._everywhere.rows).reshape(1, -1, 3)[:, chosen.vertices]
            return chosen.template + offset
        own, moving = chosen.rows[: shape.shape[1]], chosen.rows[shape.shape[1] :]
        total = self._of_person(shape[:1], own) if (shape == shape[:1]).all() else weighted_sum(shape, own)
        return chosen.template + weighted_sum(expression, moving, total).reshape(len(shape), -1, 3)

    def _of_person(self, shape: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """One person's part of the sum over codes, which all frames of a clip share: kept until the next person's."""
        codes, count = shape.tobytes(), rows.shape[1]
        if self._persons.get(count, (b"",))[0] != codes:
            self._persons[count] = (codes, weighted_sum(shape, rows))
        return self._persons[count][1]

    def _posed(self, chosen: "_Chosen", shape: Tensor, expression: Tensor, pose: Tensor) -> Tensor:
        codes = (shape.numpy(), expression.numpy())
        rotations = self.head.joint_rotations(pose).numpy()  # (B, J, 3, 3)
        held = self._shaped(self._held, *codes).reshape(len(pose), -1, 3)
        joints = np.stack([weighted_sum(self._regressor, of_frame) for of_frame in held])  # (B, J, 3)
        chain_r, chain_t = [rotations[:, 0]], [joints[:, 0]]
        parents = self.head.arrays.joint_parents.tolist()
        for j in range(1, self.head.num_joints):
            up = parents[j]
            chain_r.append(_times(chain_r[up], rotations[:, j]))
            chain_t.append(chain_t[up] + _times(chain_r[up], (joints[:, j] - joints[:, up])[..., None])[..., 0])
        rotation, placed = np.stack(chain_r, 1), np.stack(chain_t, 1)
        moved = placed - _times(rotation, joints[..., None])[..., 0]  # (B, J, 3): rest -> posed
        verts = self._shaped(chosen, *codes)
        if self.head.num_joints == 1:
            planes = turned(rotation[:, 0], np.ascontiguousarray(verts.transpose(0, 2, 1)))
            return torch.from_numpy(planes.transpose(0, 2, 1) + moved)
        each = np.concatenate([rotation.reshape(*rotation.shape[:2], 9), moved], -1)  # (B, J, 12)
        blended = np.zeros((len(pose), len(chosen.vertices), 12), np.float32)
        for joint, weights in enumerate(self.head.skin_weights.numpy()[chosen.vertices].T):
            held_by = np.flatnonzero(weights)
            blended[:, held_by] = fused(blended[:, held_by], weights[held_by, None], each[:, None, joint])
        turn = blended[..., :9].reshape(*blended.shape[:2], 3, 3)
        return torch.from_numpy(_times(turn, verts[..., None])[..., 0] + blended[..., 9:])


class _Chosen:
    """Some vertices of a head, their template (n, 3), and the basis of all codes there: (S + E, 3n) float64."""

    def __init__(self, head: HeadModel, vertices: np.ndarray) -> None:
        self.vertices = vertices
        self.template = head.template.numpy()[vertices]
        self.rows = (
            head.basis.double().numpy().reshape(len(head.basis), -1, 3)[:, vertices].reshape(len(head.basis), -1)
        )


def _times(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Multiply small matrices (..., R, K) and (..., K, C), each product and each sum rounded."""
    total = left[..., :, 0, None] * right[..., None, 0, :]
    for k in range(1, left.shape[-1]):
        total = total + left[..., :, k, None] * right[..., None, k, :]
    return total
