"""The true codes of the head "puppet_face" for a puppet whose own codes are known.

Least squares on the true face region: the rotation is the head's own; place and size are the person's; identity codes
come from the neutral face, expression codes from what the frame adds to it; the translation puts the perspective image
where the scaled orthographic one is.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from model.heads.arrays import HeadArrays
from model.heads.camera import DEEP3D_CENTRE_PX, DEEP3D_DISTANCE, DEEP3D_FOCAL_PX
from pipeline.puppets.face_head import size_direction, vertex_stress
from pipeline.puppets.face_region import FaceRegion, face_region, region_points, shaped_joints

_RIDGE = 1e-3  # of a unit code, in units of the mean squared offset of one component; keeps weak components small
_CHUNK = 256


class FaceCodes(NamedTuple):
    """Float32 codes of the face head: shape (B, S), expression (B, E), pose (B, 3) about x, y, z, camera (B, 3)."""

    shape: np.ndarray
    expression: np.ndarray
    pose: np.ndarray
    camera: np.ndarray


def true_face_codes(
    puppet: HeadArrays,
    face: HeadArrays,
    shape: np.ndarray,
    expression: np.ndarray,
    pose: np.ndarray,
    camera: np.ndarray,
) -> FaceCodes:
    """Project true puppet codes onto the face head.

    Args:
        puppet: the head "puppet".
        face: the head "puppet_face".
        shape: (S,) one person's codes, or (B, S) one row a frame.
        expression: (B, E) puppet codes.
        pose: (B, 15) radians; the neck's rotation must be 0.
        camera: (B, 3) scaled orthographic camera (scale per cm, tx, ty cm), in the tracker frame of both heads.

    Returns:
        FaceCodes of B frames.

    Raises:
        ValueError: the neck is bent, or the heads do not belong together.
    """
    region = face_region(puppet)
    if len(region.vertices) != len(face.template):
        count = len(region.vertices)
        raise ValueError(f"{face.name} has {len(face.template)} vertices, the face of {puppet.name} {count}")
    people, person = np.unique(np.atleast_2d(np.asarray(shape, np.float32)), axis=0, return_inverse=True)
    person = np.broadcast_to(person.ravel(), len(expression))
    neutral = _neutral(puppet, region, people)
    identity, growth = _identity(face, region, neutral)
    solve = _ridge_solver(face.expression_basis, vertex_stress(puppet, region))
    root = shaped_joints(puppet, people)[:, 0]
    frames = []
    for start in range(0, len(expression), _CHUNK):
        rows = slice(start, start + _CHUNK)
        who = person[rows]
        codes = (np.asarray(values[rows], np.float32) for values in (expression, pose))
        moved = region_points(puppet, region, people[who], *codes)
        psi = solve((moved - neutral[who]) * (region.scale / (1.0 + growth[who]))[:, None, None])
        points = face.template + _combine(identity[who], face.shape_basis) + _combine(psi, face.expression_basis)
        turn = Rotation.from_rotvec(pose[rows, :3]).as_matrix()
        image = _orthographic(moved, turn, root[who], np.asarray(camera[rows], float))
        image_scale = camera[rows, 0] * (1.0 + growth[who]) / region.scale
        translation = _translation(points @ turn.transpose(0, 2, 1), image, image_scale)
        frames.append((psi, Rotation.from_matrix(turn).as_euler("xyz"), translation))
    psi, angles, translation = (np.concatenate(column).astype(np.float32) for column in zip(*frames, strict=True))
    return FaceCodes(identity[person].astype(np.float32), psi, angles, translation)


def _combine(codes: np.ndarray, basis: np.ndarray) -> np.ndarray:
    return np.tensordot(codes.astype(np.float32), basis.astype(np.float32), 1)


def _neutral(puppet: HeadArrays, region: FaceRegion, people: np.ndarray) -> np.ndarray:
    """Neutral faces (P, N, 3) cm of people (P, S)."""
    expression = np.zeros((len(people), len(puppet.expression_basis)), np.float32)
    pose = np.zeros((len(people), 3 * len(puppet.joint_names)), np.float32)
    return region_points(puppet, region, people, expression, pose)


def _identity(face: HeadArrays, region: FaceRegion, neutral: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Identity codes (P, S) and relative growth (P,) of neutral faces (P, N, 3) cm, wherever these stand."""
    offsets = region.to_face(neutral) - face.template
    offsets = offsets - offsets.mean(1, keepdims=True)
    size = size_direction(face.template.astype(float))
    growth = (offsets * size).sum((1, 2)) / (size**2).sum()
    offsets = (offsets - growth[:, None, None] * size) / (1.0 + growth)[:, None, None]
    return _ridge_solver(face.shape_basis, np.ones(len(face.template)))(offsets), growth


def _ridge_solver(basis: np.ndarray, stress: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """A function from offsets (B, N, 3) to the codes (B, K) of a basis (K, N, 3), by weighted ridge regression."""
    flat = (basis.astype(float) * stress[:, None]).reshape(len(basis), -1)
    normal = flat @ basis.reshape(len(basis), -1).astype(float).T
    inverse = np.linalg.inv(normal + _RIDGE * np.trace(normal) / len(basis) * np.eye(len(basis)))
    solution = (inverse @ flat).T.astype(np.float32)
    return lambda offsets: offsets.reshape(len(offsets), -1).astype(np.float32) @ solution


def _orthographic(points: np.ndarray, turn: np.ndarray, root: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """Image (B, N, 2) of the turned region, ndc with y up."""
    turned = (points - root[:, None]) @ turn.transpose(0, 2, 1) + root[:, None]
    return camera[:, None, :1] * (turned[..., :2] + camera[:, None, 1:])


def _translation(turned: np.ndarray, image: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Translation (B, 3) of turned points (B, N, 3) whose perspective image fits an image (B, N, 2), ndc with y up.

    The depth follows from the scale (ndc per face unit) at the points' mean depth; the rest is linear least squares.
    """
    focal = DEEP3D_FOCAL_PX / DEEP3D_CENTRE_PX
    distance = focal / scale
    depth = DEEP3D_DISTANCE - distance - turned[..., 2].mean(1)
    from_camera = DEEP3D_DISTANCE - turned[..., 2] - depth[:, None]
    across = (image * from_camera[..., None] / focal - turned[..., :2]).mean(1)
    return np.concatenate([across, depth[:, None]], 1)
