"""What several tests need: where the shared data lies, and small heads to test with."""

from pathlib import Path

import numpy as np
import pytest

from model.heads.arrays import HeadArrays

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"


def shared(relative: str) -> Path:
    """Return a path of the shared development data, or skip the test with the reason."""
    path = SHARED / relative
    if not path.exists():
        pytest.skip(f"development data is absent: shared/data/{relative}")
    return path


def random_head(seed: int = 0, num_shape: int = 4, num_expression: int = 3) -> HeadArrays:
    """A bumpy sphere with five joints, for tests of anything that takes a head."""
    rng = np.random.default_rng(seed)
    rows, columns = 9, 12
    theta = np.linspace(0.15, np.pi - 0.15, rows)[:, None]
    phi = np.linspace(0, 2 * np.pi, columns, endpoint=False)[None]
    template = np.stack([np.sin(theta) * np.sin(phi), np.cos(theta) + 0 * phi, np.sin(theta) * np.cos(phi)], -1)
    template = template.reshape(-1, 3).astype(np.float32) * 10
    quads = [
        (r * columns + c, (r + 1) * columns + c, (r + 1) * columns + (c + 1) % columns, r * columns + (c + 1) % columns)
        for r in range(rows - 1)
        for c in range(columns)
    ]
    triangles = np.array([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))], np.int32)
    count = len(template)
    weights = rng.random((count, 5)).astype(np.float32)
    regressor = rng.random((5, count)).astype(np.float32)
    barycentric = rng.random((68, 3)).astype(np.float32) + 0.1
    return HeadArrays(
        name="bumpy_sphere",
        unit="cm",
        template=template,
        triangles=triangles,
        shape_basis=rng.normal(0, 0.3, (num_shape, count, 3)).astype(np.float32),
        expression_basis=rng.normal(0, 0.3, (num_expression, count, 3)).astype(np.float32),
        expression_names=np.array([f"expression_{i}" for i in range(num_expression)]),
        expression_low=np.full(num_expression, -2, np.float32),
        expression_high=np.full(num_expression, 2, np.float32),
        joint_names=np.array(["root", "neck", "jaw", "eye_left", "eye_right"]),
        joint_parents=np.array([-1, 0, 1, 1, 1], np.int32),
        joint_regressor=regressor / regressor.sum(1, keepdims=True),
        skin_weights=weights / weights.sum(1, keepdims=True),
        pose_basis=np.zeros((0, count, 3), np.float32),
        landmark_triangles=rng.integers(0, len(triangles), 68).astype(np.int32),
        landmark_barycentric=barycentric / barycentric.sum(1, keepdims=True),
        triangle_part=np.zeros(len(triangles), np.int32),
        part_names=np.array(["all"]),
        camera="scaled_orthographic",
        rotation="axis_angle",
    )
