"""A FLAME-like head: skinning, DECA's projection, and the row of the contour that follows the yaw."""

from dataclasses import replace

import numpy as np
import torch

from model.heads.arrays import HeadArrays
from model.heads.camera import scaled_orthographic
from model.heads.contour import contour_rows
from model.heads.head import HeadModel
from model.heads.rotation import axis_angle_to_matrix
from tests.helpers import random_head
from tests.parity.compare import Output, compare
from tests.parity.golden import Fixture

NUM_SHAPE = 100  # of 150 directions; the others are expression


def check(fixture: Fixture) -> list[Output]:
    """Vertices, posed joints, projection and contour rows."""
    golden = fixture.arrays()
    count = len(golden["model_v_template"])
    head = HeadModel(with_joints_as_vertices(flame_like(golden)))
    pose = np.concatenate([golden[f"{name}_pose"] for name in ("global", "neck", "jaw", "eye")], 1)
    posed = head.vertices(*(torch.from_numpy(codes) for codes in (golden["shape"], golden["expression"], pose)))
    verts = torch.from_numpy(golden["vertices"]).float()
    yaw_rad = torch.from_numpy(golden["contour_yaw_degrees"]).deg2rad()
    turned = axis_angle_to_matrix(torch.stack([0 * yaw_rad, yaw_rad, 0 * yaw_rad], -1))
    tolerance = golden["tolerance"]
    return [
        compare("vertices", posed[:, :count], golden["vertices"], tolerance),
        compare("joints", posed[:, count:], golden["joints"], tolerance),
        compare("projected", scaled_orthographic(verts, torch.from_numpy(golden["cam"])), golden["projected"], 1e-5),
        compare("contour_bin", contour_rows(turned), golden["contour_bin"]),
    ]


def flame_like(golden: dict[str, np.ndarray]) -> HeadArrays:
    """The fixture's random model in this project's head form."""
    shapedirs, posedirs = (
        golden[f"model_{name}_q"].astype(np.float32) * golden["model_dirs_scale"] for name in ("shapedirs", "posedirs")
    )  # (V, 3, 150) and (V, 3, 36)
    shape, expression = np.split(shapedirs.transpose(2, 0, 1), [NUM_SHAPE])
    return replace(
        random_head(),
        name="flame_like",
        template=golden["model_v_template"],
        triangles=golden["model_faces"].astype(np.int32),
        shape_basis=np.ascontiguousarray(shape),
        expression_basis=np.ascontiguousarray(expression),
        expression_names=np.array([str(i) for i in range(len(expression))]),
        expression_low=np.full(len(expression), -3, np.float32),
        expression_high=np.full(len(expression), 3, np.float32),
        joint_parents=golden["model_parents"].astype(np.int32),
        joint_regressor=golden["model_J_regressor"],
        skin_weights=golden["model_lbs_weights"],
        pose_basis=np.ascontiguousarray(posedirs.transpose(2, 0, 1)),
        triangle_part=np.zeros(len(golden["model_faces"]), np.int32),
    )


def with_joints_as_vertices(arrays: HeadArrays) -> HeadArrays:
    """Append every joint as a vertex that rides on its joint alone: it is posed where the joint is."""
    regressor, joints = arrays.joint_regressor, len(arrays.joint_regressor)

    def grown(values: np.ndarray, more: np.ndarray) -> np.ndarray:
        return np.concatenate([values, more.astype(np.float32)], -2)

    return replace(
        arrays,
        template=grown(arrays.template, regressor @ arrays.template),
        shape_basis=grown(arrays.shape_basis, regressor @ arrays.shape_basis),
        expression_basis=grown(arrays.expression_basis, regressor @ arrays.expression_basis),
        pose_basis=grown(arrays.pose_basis, np.zeros((len(arrays.pose_basis), joints, 3))),
        skin_weights=grown(arrays.skin_weights, np.eye(joints)),
        joint_regressor=np.concatenate([regressor, np.zeros((joints, joints), np.float32)], 1),
    )
