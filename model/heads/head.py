"""One differentiable head for FLAME, BFM, ICT and the puppets: bases, skinning, camera.

Legend: B batch, V vertices, S identity codes beta, E expression codes psi, J joints, theta = pose.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from model.frame.coords import apply_affine
from model.heads.arrays import HeadArrays, arrays_sha256, load_arrays
from model.heads.camera import CAMERA_SIZES, CAMERAS
from model.heads.contour import CONTOUR_POINTS, contour_rows
from model.heads.fit import HeadFit
from model.heads.rotation import axis_angle_to_matrix, euler_to_matrix, matrix_to_yaw_pitch_roll


class HeadModel(nn.Module):
    """Blendshapes and linear blend skinning over a fixed mesh (paper section 3.1; FLAME, SMPL).

    All arrays are buffers: the module moves with `.to` and has no parameters. Its state is never part
    of a checkpoint; a model names its head by `sha256` instead.
    """

    template: Tensor  # (V, 3)
    triangles: Tensor  # (F, 3)
    basis: Tensor  # (S + E, 3V)
    joint_regressor: Tensor  # (J, V)
    skin_weights: Tensor  # (V, J)
    pose_basis: Tensor  # (9 (J - 1), 3V), or (0, 3V)
    landmark_vertices: Tensor  # (68, 3)
    landmark_weights: Tensor  # (68, 3)
    contour_vertices: Tensor  # (79, 17, 3), where landmarks 0-16 slide
    contour_weights: Tensor  # (79, 17, 3)

    def __init__(self, arrays: HeadArrays) -> None:
        super().__init__()
        self.arrays = arrays
        self.name = arrays.name
        self.sha256 = arrays_sha256(arrays)
        self.num_vertices = len(arrays.template)
        self.num_shape = len(arrays.shape_basis)
        self.num_expression = len(arrays.expression_basis)
        self.num_joints = len(arrays.joint_names)
        self.num_pose = 3 * self.num_joints
        self.num_camera = CAMERA_SIZES[arrays.camera]
        self.perspective = arrays.camera == "deep3d_perspective"
        bases = torch.cat(
            [torch.from_numpy(arrays.shape_basis).float(), torch.from_numpy(arrays.expression_basis).float()]
        )
        self._buffer("template", torch.from_numpy(arrays.template).float())
        self._buffer("triangles", torch.from_numpy(arrays.triangles).long())
        self._buffer("basis", bases.flatten(1))
        self._buffer("joint_regressor", torch.from_numpy(arrays.joint_regressor).float())
        self._buffer("skin_weights", torch.from_numpy(arrays.skin_weights).float())
        self._buffer("pose_basis", torch.from_numpy(arrays.pose_basis).float().flatten(1))
        self._buffer("landmark_vertices", self.triangles[torch.from_numpy(arrays.landmark_triangles).long()])
        self._buffer("landmark_weights", torch.from_numpy(arrays.landmark_barycentric).float())
        self.sliding_contour = arrays.contour_triangles is not None
        if arrays.contour_triangles is not None and arrays.contour_barycentric is not None:
            contour = torch.from_numpy(arrays.contour_triangles).long()  # (79, 17)
            self._buffer("contour_vertices", self.triangles[contour])
            self._buffer("contour_weights", torch.from_numpy(arrays.contour_barycentric).float())

    def _buffer(self, name: str, value: Tensor) -> None:
        self.register_buffer(name, value, persistent=False)

    def vertices(self, shape: Tensor, expression: Tensor, pose: Tensor) -> Tensor:
        """Deform and pose the mesh.

        Args:
            shape: (B, S) identity codes.
            expression: (B, E) expression codes.
            pose: (B, 3J) joint rotations, root first.

        Returns:
            (B, V, 3) vertices in head units.

        Raises:
            ValueError: a code vector has another length than this head has, or (off CUDA, where looking would wait for
                the device) a value that is not finite.
        """
        for label, codes, length in (
            ("shape", shape, self.num_shape),
            ("expression", expression, self.num_expression),
            ("pose", pose, self.num_pose),
        ):
            if codes.shape[-1] != length:
                raise ValueError(f"head {self.name}: {label} has {codes.shape[-1]} codes, this head has {length}")
            if not codes.is_cuda and not codes.isfinite().all():
                raise ValueError(f"head {self.name}: {label} has a code that is not finite")
        rotations = self.joint_rotations(pose)  # (B, J, 3, 3)
        codes = torch.cat([shape, expression], -1)
        shaped = (self.template.flatten() + codes @ self.basis).unflatten(-1, (-1, 3))  # (B, V, 3)
        joints = self.joint_regressor @ shaped  # (B, J, 3); as FLAME does, expression moves them too
        if self.pose_basis.shape[0]:
            eye = torch.eye(3, dtype=rotations.dtype, device=rotations.device)
            shaped = shaped + ((rotations[:, 1:] - eye).flatten(1) @ self.pose_basis).unflatten(-1, (-1, 3))
        return self._skin(shaped, joints, rotations)

    def _skin(self, verts: Tensor, joints: Tensor, rotations: Tensor) -> Tensor:
        parents = self.arrays.joint_parents.tolist()
        chain_r, chain_t = [rotations[:, 0]], [joints[:, 0]]
        for j in range(1, self.num_joints):
            up = parents[j]
            chain_r.append(chain_r[up] @ rotations[:, j])
            chain_t.append(chain_t[up] + (chain_r[up] @ (joints[:, j] - joints[:, up])[..., None])[..., 0])
        rotation = torch.stack(chain_r, 1)  # (B, J, 3, 3)
        moved = torch.stack(chain_t, 1) - (rotation @ joints[..., None])[..., 0]  # (B, J, 3): rest -> posed
        if self.num_joints == 1:
            return verts @ rotation[:, 0].transpose(1, 2) + moved
        blended = self.skin_weights @ torch.cat([rotation.flatten(2), moved], -1)  # (B, V, 12)
        return (blended[..., :9].unflatten(-1, (3, 3)) @ verts[..., None])[..., 0] + blended[..., 9:]

    def joint_rotations(self, pose: Tensor) -> Tensor:
        """Turn pose (B, 3J) into rotation matrices (B, J, 3, 3)."""
        angles = pose.unflatten(-1, (self.num_joints, 3))
        return euler_to_matrix(angles) if self.arrays.rotation == "deep3d_euler" else axis_angle_to_matrix(angles)

    def head_rotation(self, pose: Tensor) -> Tensor:
        """Rotation of the skull (B, 3, 3): the root's, which is the head's global pose as in DECA."""
        return self.joint_rotations(pose)[:, 0]

    def yaw_pitch_roll_rad(self, pose: Tensor) -> Tensor:
        """Head angles (B, 3) in radians; signs as in `model.heads.rotation`."""
        return matrix_to_yaw_pitch_roll(self.head_rotation(pose))

    def contour_rotation(self, pose: Tensor) -> Tensor:
        """Rotation (B, 3, 3) that decides which contour shows: the root's, and the neck's where there is one."""
        rotations = self.joint_rotations(pose)
        names = self.arrays.joint_names.tolist()
        joint = names.index("neck") if "neck" in names else 0
        turned = rotations[:, joint]
        while (joint := int(self.arrays.joint_parents[joint])) >= 0:
            turned = rotations[:, joint] @ turned
        return turned

    def landmarks_of(self, verts: Tensor, pose: Tensor | None = None) -> Tensor:
        """Interpolate the 68 iBUG landmarks from vertices.

        Args:
            verts: (B, V, K), posed or not.
            pose: (B, 3J); only a head whose contour depends on yaw (FLAME) needs it, for landmarks 0-16.

        Returns:
            (B, 68, K).

        Raises:
            ValueError: the head's contour depends on yaw and no pose is given.
        """
        if not self.sliding_contour:
            return (verts[:, self.landmark_vertices] * self.landmark_weights[..., None]).sum(2)
        if pose is None:
            raise ValueError(f"head {self.name}: landmarks 0-16 depend on yaw, so landmarks_of needs the pose")
        rows = contour_rows(self.contour_rotation(pose))
        fixed = (
            verts[:, self.landmark_vertices[CONTOUR_POINTS:]] * self.landmark_weights[CONTOUR_POINTS:, :, None]
        ).sum(2)
        batch = torch.arange(len(verts), device=verts.device)[:, None, None]
        corners = verts[batch, self.contour_vertices[rows]]  # (B, 17, 3, K)
        return torch.cat([(corners * self.contour_weights[rows][..., None]).sum(2), fixed], 1)

    def project(self, points: Tensor, camera: Tensor) -> Tensor:
        """Project points (B, N, 3) to the tracker frame: x, y in ndc and a depth (smaller is nearer)."""
        return CAMERAS[self.arrays.camera](points, camera)

    def place(self, fit: HeadFit) -> Tensor:
        """Pose and project the mesh into the clip's frame.

        Returns:
            (B, V, 3): x, y in the clip frame's ndc, and the camera's depth.
        """
        return self._place(self.vertices(fit.shape, fit.expression, fit.pose), fit)

    def place_landmarks(self, fit: HeadFit) -> Tensor:
        """Return the 68 landmarks (B, 68, 2) in the clip frame's ndc."""
        verts = self.vertices(fit.shape, fit.expression, fit.pose)
        return self._place(self.landmarks_of(verts, fit.pose), fit)[..., :2]

    def _place(self, points: Tensor, fit: HeadFit) -> Tensor:
        projected = self.project(points, fit.camera)
        return torch.cat([apply_affine(fit.tracker_map, projected[..., :2]), projected[..., 2:]], -1)


def load_head(path: Path) -> HeadModel:
    """Read a head's `.npz` (errors as `load_arrays`)."""
    return HeadModel(load_arrays(path))
