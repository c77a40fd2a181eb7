"""The head "puppet_face": a model of the face region alone, learned from puppets by principal components.

It shares neither codes nor camera with the head it is learned from: identity and expression are its own components,
jaw, lids and gaze are expressions, and it is seen by Deep3DFaceRecon's perspective camera.
"""

import numpy as np

from model.heads.arrays import HeadArrays
from pipeline.puppets.face_region import FaceRegion, face_region, region_points
from pipeline.puppets.head_geometry import regions

NUM_SHAPE, NUM_EXPRESSION = 28, 28
_SAMPLES = 600
_JAW_OPEN_RAD, _GAZE_YAW_RAD, _GAZE_PITCH_RAD = 0.40, 0.45, 0.30
_EYE_STRESS = 4.0  # how much more the eyes' surroundings count than other skin, so that blinks and gaze get components


def build_face(puppet: HeadArrays) -> HeadArrays:
    """Learn the face head from the puppet head; deterministic."""
    region = face_region(puppet)
    template = region.to_face(puppet.template[region.vertices].astype(float))
    stress = vertex_stress(puppet, region)
    shape = _components(_identities(puppet, region, template), np.ones_like(stress), NUM_SHAPE)
    expression, reach = _expressions(puppet, region, stress)
    new_number = np.full(len(puppet.template), -1)
    new_number[region.vertices] = np.arange(len(region.vertices))
    new_triangle = np.full(len(puppet.triangles), -1)
    new_triangle[region.triangles] = np.arange(len(region.triangles))
    marks = new_triangle[puppet.landmark_triangles]
    if (marks < 0).any():
        raise ValueError(f"the face region lacks the landmarks {np.flatnonzero(marks < 0).tolist()}")
    count = len(region.vertices)
    return HeadArrays(
        name="puppet_face",
        unit="deep3d",
        template=template.astype(np.float32),
        triangles=new_number[puppet.triangles[region.triangles]].astype(np.int32),
        shape_basis=_as_half(shape),
        expression_basis=_as_half(expression),
        expression_names=np.array([f"component_{i:02d}" for i in range(NUM_EXPRESSION)]),
        expression_low=reach[0].astype(np.float32),
        expression_high=reach[1].astype(np.float32),
        joint_names=np.array(["root"]),
        joint_parents=np.array([-1], np.int32),
        joint_regressor=np.zeros((1, count), np.float32),
        skin_weights=np.ones((count, 1), np.float32),
        pose_basis=np.zeros((0, count, 3), np.float32),
        landmark_triangles=marks.astype(np.int32),
        landmark_barycentric=puppet.landmark_barycentric,
        triangle_part=puppet.triangle_part[region.triangles],
        part_names=puppet.part_names,
        camera="deep3d_perspective",
        rotation="deep3d_euler",
    )


def vertex_stress(puppet: HeadArrays, region: FaceRegion) -> np.ndarray:
    """Weight (N,) of every face vertex in the expressions' least squares: larger around the eyes."""
    points = puppet.template[region.vertices].astype(float)
    return 1.0 + (_EYE_STRESS - 1.0) * regions.lids(points)


def size_direction(template: np.ndarray) -> np.ndarray:
    """Growth of the face about its middle: the direction that identity leaves to the camera's distance."""
    return template - template.mean(0)


def _identities(puppet: HeadArrays, region: FaceRegion, template: np.ndarray) -> np.ndarray:
    """A root (S, N, 3) of the people's covariance in face units, place and size removed.

    Puppet codes are N(0, 1), so the puppet's own directions are that root: no people need to be drawn.
    """
    basis = puppet.shape_basis[:, region.vertices].astype(float) * region.scale
    basis -= basis.mean(1, keepdims=True)
    growth = size_direction(template)
    return basis - ((basis * growth).sum((1, 2)) / (growth**2).sum())[:, None, None] * growth


def random_actions(puppet: HeadArrays, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Random expressions (n, E) and poses (n, 15) with jaw and gaze, the head unturned."""
    rng = np.random.default_rng(seed)
    low, high = puppet.expression_low, puppet.expression_high
    active = rng.random((count, len(low))) < 0.35
    expression = np.where(active, low + (high - low) * rng.random((count, len(low))), 0.0)
    pose = np.zeros((count, 3 * len(puppet.joint_names)))
    pose[:, 6] = _JAW_OPEN_RAD * rng.random(count) * (rng.random(count) < 0.7)
    gaze = rng.uniform(-1, 1, (count, 2)) * (_GAZE_PITCH_RAD, _GAZE_YAW_RAD)
    pose[:, 9:11] = pose[:, 12:14] = gaze
    return expression.astype(np.float32), pose.astype(np.float32)


def _expressions(puppet: HeadArrays, region: FaceRegion, stress: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Components (E, N, 3) in face units and the range (2, E) of their codes over random actions."""
    expression, pose = random_actions(puppet, _SAMPLES, seed=1)
    neutral = np.zeros((1, len(puppet.shape_basis)), np.float32)
    moved = region_points(puppet, region, neutral, expression, pose)
    offsets = (moved - puppet.template[region.vertices]) * region.scale
    basis = _components(offsets / np.sqrt(len(offsets)), stress, NUM_EXPRESSION)
    root = np.sqrt(stress)[:, None]
    codes = (offsets * root).reshape(len(offsets), -1) @ np.linalg.pinv((basis * root).reshape(len(basis), -1))
    return basis, np.percentile(codes, [0.5, 99.5], axis=0)


def _components(root: np.ndarray, stress: np.ndarray, count: int) -> np.ndarray:
    """Principal components (count, N, 3) about zero, scaled so that codes have unit root mean square.

    Args:
        root: (n, N, 3) whose products summed over n are the second moments of the offsets.
        stress: (N,) weight of every vertex.
        count: how many to keep.
    """
    weight = np.sqrt(stress)[:, None]
    flat = (root * weight).reshape(len(root), -1)
    values, vectors = np.linalg.eigh(flat @ flat.T)
    axes = vectors[:, np.argsort(values)[::-1][:count]].T @ flat
    # the sign is free; a projection settles it, because the largest entry of a symmetric component has an equal twin
    signs = np.sign(axes @ np.random.default_rng(2).standard_normal(axes.shape[1]))
    return (signs[:, None] * axes).reshape(count, -1, 3) / weight


def _as_half(basis: np.ndarray) -> np.ndarray:
    """Offsets as float16, rounded to 2^-13 face units (about 0.01 mm), which packs well."""
    return (np.round(basis * 2.0**13) * 2.0**-13).astype(np.float16)
