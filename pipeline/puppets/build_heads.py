"""Build the two puppet heads and write them to `assets/`: `python -m pipeline.puppets.build_heads`."""

from pathlib import Path

import numpy as np

from model.heads.arrays import HeadArrays, save_head
from pipeline.puppets.face_head import build_face
from pipeline.puppets.head_geometry import expressions, rig, shapes
from pipeline.puppets.head_geometry.assembly import PART_NAMES, PIECES, build_mesh

ASSETS = Path(__file__).parent / "assets"
_GRAIN_CM = 2.0**-10  # offsets are rounded to this: half a micrometre in float16's place, and it packs


def as_half(basis: np.ndarray, grain: float = _GRAIN_CM) -> np.ndarray:
    """Round offsets to multiples of `grain` and store them as float16."""
    return (np.round(basis / grain) * grain).astype(np.float16)


def build_puppet() -> HeadArrays:
    """The head "puppet": about FLAME's size, cm, 5 joints, scaled orthographic camera; deterministic."""
    mesh = build_mesh()
    template = mesh.template.astype(np.float32)
    balls = [np.flatnonzero(mesh.piece == PIECES.index(name)) for name in ("eye_left", "eye_right")]
    weights = rig.skin_weights(mesh)
    expression, names = expressions.expression_basis(mesh, weights[:, 2])
    triangle, barycentric = rig.landmarks(mesh)
    low = np.array([-1.0 if name in expressions.SIGNED else 0.0 for name in names], np.float32)
    return HeadArrays(
        name="puppet",
        unit="cm",
        template=template,
        triangles=mesh.triangles,
        shape_basis=as_half(shapes.shape_basis(mesh.template, balls)),
        expression_basis=as_half(expression),
        expression_names=np.array(names),
        expression_low=low,
        expression_high=np.ones(len(names), np.float32),
        joint_names=np.array(rig.JOINT_NAMES),
        joint_parents=np.array(rig.JOINT_PARENTS, np.int32),
        joint_regressor=rig.joint_regressor(mesh).astype(np.float32),
        skin_weights=weights.astype(np.float32),
        pose_basis=np.zeros((0, len(template), 3), np.float32),
        landmark_triangles=triangle.astype(np.int32),
        landmark_barycentric=barycentric.astype(np.float32),
        triangle_part=mesh.triangle_part,
        part_names=np.array(PART_NAMES),
        camera="scaled_orthographic",
        rotation="axis_angle",
    )


def main() -> None:
    """Write the assets."""
    ASSETS.mkdir(exist_ok=True)
    puppet = build_puppet()
    save_head(ASSETS / "puppet.npz", puppet)
    save_head(ASSETS / "puppet_face.npz", build_face(puppet))


if __name__ == "__main__":
    main()
