"""Which part of the head "puppet" the head "puppet_face" covers, and where it stands in Deep3D's canonical frame."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from model.heads.arrays import HeadArrays
from pipeline.puppets.fields import vertex_parts
from pipeline.puppets.head_geometry.relief import EYEBALL_CENTRE

# Deep3DFaceRecon_pytorch, util/similarity_Lm3D_all.mat: eyes, nose tip, mouth corners of its mean face.
DEEP3D_LANDMARKS = np.array(
    [
        (-0.3115, 0.2904, 0.1338),
        (0.3098, 0.2897, 0.1318),
        (0.0033, -0.0462, 0.5524),
        (-0.2522, -0.3813, 0.2241),
        (0.2485, -0.3813, 0.2224),
    ]
)


@dataclass(frozen=True)
class FaceRegion:
    """The face's own part of the puppet head.

    Attributes:
        vertices: (N,) vertex numbers of the puppet head.
        triangles: (M,) triangle numbers of the puppet head.
        scale: face units per cm.
        centre: (3,) cm; face coordinates are scale * (puppet coordinates - centre).
    """

    vertices: np.ndarray
    triangles: np.ndarray
    scale: float
    centre: np.ndarray

    def to_face(self, points: np.ndarray) -> np.ndarray:
        """Map points (..., 3) from cm of the puppet head to face units."""
        return self.scale * (points - self.centre)


def face_region(puppet: HeadArrays) -> FaceRegion:
    """Cut the face out: skin from the forehead to the jaw line, lips, lids, and the front cap of each eyeball."""
    x, y, z = puppet.template.astype(float).T
    part = vertex_parts(puppet)
    skin = np.isin(part, ("skin", "lips", "eyelid", "scalp")) & (z > 1.9 + 0.35 * np.clip(y - 3.0, 0, None))
    skin &= (y < 6.9) & (y > -11.6) & (z > 1.0 + np.clip(-9.0 - y, 0, None) * 1.9)
    towards_viewer = (z - EYEBALL_CENTRE[2]) > 0.30
    inside = skin | (np.isin(part, ("eyeball_left", "eyeball_right")) & towards_viewer)
    part_of = puppet.part_names[puppet.triangle_part]
    kept = inside[puppet.triangles].all(1) & (part_of != "mouth_cavity")
    triangles = np.flatnonzero(kept)
    vertices = np.unique(puppet.triangles[triangles])
    scale, centre = _canonical_frame(puppet)
    return FaceRegion(vertices, triangles, scale, centre)


def landmarks_of(puppet: HeadArrays, vertices: np.ndarray) -> np.ndarray:
    """The 68 landmarks (..., 68, 3) of vertices (..., V, 3)."""
    corners = vertices[..., puppet.triangles[puppet.landmark_triangles], :]
    return (corners * puppet.landmark_barycentric[..., None]).sum(-2)


def _canonical_frame(puppet: HeadArrays) -> tuple[float, np.ndarray]:
    """Scale and centre that bring the five points of the neutral puppet closest to Deep3D's."""
    marks = landmarks_of(puppet, puppet.template.astype(float))
    five = np.stack([marks[36:42].mean(0), marks[42:48].mean(0), marks[30], marks[48], marks[54]])
    from_mean, to_mean = five - five.mean(0), DEEP3D_LANDMARKS - DEEP3D_LANDMARKS.mean(0)
    scale = float((from_mean * to_mean).sum() / (from_mean**2).sum())
    return scale, np.array([0.0, *(five.mean(0) - DEEP3D_LANDMARKS.mean(0) / scale)[1:]])


def region_points(
    puppet: HeadArrays, region: FaceRegion, shape: np.ndarray, expression: np.ndarray, pose: np.ndarray
) -> np.ndarray:
    """Deform the region, the head itself unturned (the root's rotation is left out).

    Args:
        puppet: the whole head.
        region: its face.
        shape: (B, S) or (1, S) puppet codes.
        expression: (B, E).
        pose: (B, 15) joint rotations; the neck's must be 0.

    Returns:
        (B, N, 3) cm.

    Raises:
        ValueError: the neck is bent.
    """
    if np.abs(pose[:, 3:6]).max(initial=0.0) > 1e-6:
        raise ValueError("true face codes need an unbent neck: the face has one joint, the root")
    rows = region.vertices
    shaped = puppet.template[rows] + np.tensordot(shape, _rows(puppet.shape_basis, rows), 1)
    points = shaped + np.tensordot(expression, _rows(puppet.expression_basis, rows), 1)
    joints = shaped_joints(puppet, shape)
    still = points
    for joint in range(2, len(puppet.joint_names)):
        weight = puppet.skin_weights[rows, joint]
        moving = np.flatnonzero(weight)
        turn = Rotation.from_rotvec(pose[:, 3 * joint : 3 * joint + 3]).as_matrix() - np.eye(3)
        arm = still[:, moving] - joints[:, None, joint]
        points = points.copy() if points is still else points
        points[:, moving] += weight[moving, None] * (arm @ turn.transpose(0, 2, 1).astype(np.float32))
    return points


def shaped_joints(puppet: HeadArrays, shape: np.ndarray) -> np.ndarray:
    """Joints (B, J, 3) cm of shape codes (B, S)."""
    used = np.flatnonzero(puppet.joint_regressor.any(0))
    regressor = puppet.joint_regressor[:, used]
    mean = regressor @ puppet.template[used]
    return mean + np.tensordot(shape, regressor @ _rows(puppet.shape_basis, used), 1)


def _rows(basis: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return basis[:, rows].astype(np.float32)
