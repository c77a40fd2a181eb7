"""A head cut down to its 68 landmarks: the same points, hundreds of times cheaper, for a training loss."""

from dataclasses import replace

import numpy as np

from model.heads.arrays import HeadArrays
from model.heads.head import HeadModel


def landmark_head(arrays: HeadArrays) -> HeadModel:
    """Keep the vertices that landmarks touch, and each joint as one more vertex.

    Joints are linear in the codes, so a vertex that moves as the joint does replaces the regression.
    Root rotations are always axis-angle in the result, whatever the head writes.

    Raises:
        ValueError: the head has pose correctives, which this reduction does not carry.
    """
    if len(arrays.pose_basis):
        raise ValueError(f"head {arrays.name}: pose correctives cannot be reduced")
    corners = arrays.triangles[arrays.landmark_triangles].ravel()
    regressor = arrays.joint_regressor.astype(np.float32)
    joints = len(regressor)
    keep = len(corners)

    def reduce(points: np.ndarray) -> np.ndarray:
        points = points.astype(np.float32)
        return np.concatenate([points[..., corners, :], regressor @ points], -2)

    picked = np.zeros((joints, keep + joints), np.float32)
    picked[np.arange(joints), keep + np.arange(joints)] = 1
    weights = np.zeros((keep + joints, joints), np.float32)
    weights[:keep] = arrays.skin_weights[corners]
    weights[keep:, 0] = 1
    triangles = np.arange(keep, dtype=np.int32).reshape(-1, 3)
    return HeadModel(
        replace(
            arrays,
            template=reduce(arrays.template),
            triangles=triangles,
            shape_basis=reduce(arrays.shape_basis),
            expression_basis=reduce(arrays.expression_basis),
            joint_regressor=picked,
            skin_weights=weights,
            pose_basis=np.zeros((0, keep + joints, 3), np.float32),
            landmark_triangles=np.arange(len(triangles), dtype=np.int32),
            triangle_part=np.zeros(len(triangles), np.int32),
            rotation="axis_angle",
        )
    )
