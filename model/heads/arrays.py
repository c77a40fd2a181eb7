"""The `.npz` form that every head has on disk, whatever release it was imported from."""

import hashlib
import io
import zipfile
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from model.atomic import written_aside
from model.heads.camera import CAMERA_SIZES
from model.heads.contour import CONTOUR_POINTS, CONTOUR_YAWS

ROTATIONS = ("axis_angle", "deep3d_euler")


@dataclass(frozen=True)
class HeadArrays:
    """A 3-D head as plain arrays: V vertices, F triangles, S and E directions, J joints.

    Frame: y up, z towards the viewer, x to the viewer's right (the person's left).

    Attributes:
        name: what parameter files call this head.
        unit: unit of length of the template, such as "cm".
        template: (V, 3) the mean head.
        triangles: (F, 3) vertex numbers, counter-clockwise seen from outside.
        shape_basis: (S, V, 3) offset of one unit of each identity code.
        expression_basis: (E, V, 3) offset of one unit of each expression code.
        expression_names: (E,) what each expression code does.
        expression_low: (E,) smallest plausible expression codes.
        expression_high: (E,) largest plausible expression codes.
        joint_names: (J,) root first.
        joint_parents: (J,) number of each joint's parent, -1 for the root.
        joint_regressor: (J, V) joint positions as weighted sums of shaped vertices.
        skin_weights: (V, J) share of each joint in each vertex; rows sum to 1.
        pose_basis: (9 (J - 1), V, 3) FLAME's pose correctives, or (0, V, 3).
        landmark_triangles: (68,) triangle of each iBUG landmark.
        landmark_barycentric: (68, 3) its position in that triangle.
        triangle_part: (F,) number of the part each triangle belongs to.
        part_names: names of the parts.
        camera: a key of `model.heads.camera.CAMERAS`.
        rotation: how `pose` is written: "axis_angle" for all joints, or "deep3d_euler" angles about x, y, z.
        contour_triangles: (79, 17) triangles of landmarks 0-16 for each row of `model.heads.contour`, or None where
            they stay on the mesh. `landmark_triangles` then begins with row 0, the head that faces the camera.
        contour_barycentric: (79, 17, 3) their positions in those triangles, or None.
    """

    name: str
    unit: str
    template: np.ndarray
    triangles: np.ndarray
    shape_basis: np.ndarray
    expression_basis: np.ndarray
    expression_names: np.ndarray
    expression_low: np.ndarray
    expression_high: np.ndarray
    joint_names: np.ndarray
    joint_parents: np.ndarray
    joint_regressor: np.ndarray
    skin_weights: np.ndarray
    pose_basis: np.ndarray
    landmark_triangles: np.ndarray
    landmark_barycentric: np.ndarray
    triangle_part: np.ndarray
    part_names: np.ndarray
    camera: str
    rotation: str
    contour_triangles: np.ndarray | None = None
    contour_barycentric: np.ndarray | None = None

    def check(self) -> None:
        """Raise ValueError, naming the head and the field, when shapes or values do not fit together."""
        v, f = len(self.template), len(self.triangles)
        s, e, j = len(self.shape_basis), len(self.expression_basis), len(self.joint_names)
        expected = {
            "template": (v, 3), "triangles": (f, 3), "shape_basis": (s, v, 3), "expression_basis": (e, v, 3),
            "expression_names": (e,), "expression_low": (e,), "expression_high": (e,), "joint_parents": (j,),
            "joint_regressor": (j, v), "skin_weights": (v, j), "landmark_triangles": (68,),
            "landmark_barycentric": (68, 3), "triangle_part": (f,),
        }  # fmt: skip
        for field, shape in expected.items():
            if getattr(self, field).shape != shape:
                raise ValueError(f"head {self.name}: {field} is {getattr(self, field).shape}, expected {shape}")
        if self.pose_basis.shape not in ((0, v, 3), (9 * (j - 1), v, 3)):
            raise ValueError(f"head {self.name}: pose_basis is {self.pose_basis.shape}")
        for field, limit in (("triangles", v), ("landmark_triangles", f), ("triangle_part", len(self.part_names))):
            values = getattr(self, field)
            if values.size and (values.min() < 0 or values.max() >= limit):
                raise ValueError(f"head {self.name}: {field} has a number outside 0..{limit - 1}")
        for field in (
            "template", "shape_basis", "expression_basis", "joint_regressor", "skin_weights", "pose_basis",
            "landmark_barycentric",
        ):  # fmt: skip
            if not np.isfinite(getattr(self, field)).all():
                raise ValueError(f"head {self.name}: {field} has a value that is not finite")
        if self.camera not in CAMERA_SIZES:
            raise ValueError(f"head {self.name}: camera {self.camera!r}, expected one of {sorted(CAMERA_SIZES)}")
        if self.rotation not in ROTATIONS:
            raise ValueError(f"head {self.name}: rotation {self.rotation!r}, expected one of {ROTATIONS}")
        if self.rotation == "deep3d_euler" and j != 1:
            raise ValueError(f"head {self.name}: deep3d_euler is for heads with one joint, this one has {j}")
        self._check_contour()

    def _check_contour(self) -> None:
        triangles, barycentric = self.contour_triangles, self.contour_barycentric
        if triangles is None and barycentric is None:
            return
        expected = (CONTOUR_YAWS, CONTOUR_POINTS)
        found = tuple(None if a is None else a.shape for a in (triangles, barycentric))
        if triangles is None or barycentric is None or found != (expected, (*expected, 3)):
            raise ValueError(
                f"head {self.name}: contour_triangles and contour_barycentric are {found[0]} and {found[1]}, "
                f"expected {expected} and {(*expected, 3)}"
            )
        if triangles.min() < 0 or triangles.max() >= len(self.triangles) or not np.isfinite(barycentric).all():
            raise ValueError(
                f"head {self.name}: the contour has a triangle outside 0..{len(self.triangles) - 1} or a NaN"
            )
        rest = self.landmark_triangles[:CONTOUR_POINTS], self.landmark_barycentric[:CONTOUR_POINTS]
        if not (np.array_equal(rest[0], triangles[0]) and np.array_equal(rest[1], barycentric[0])):
            raise ValueError(f"head {self.name}: landmarks 0-{CONTOUR_POINTS - 1} must be row 0 of the contour")


def save_head(path: Path, arrays: HeadArrays) -> None:
    """Write a head atomically as a compressed `.npz` whose bytes depend on the arrays alone."""
    arrays.check()
    with (
        written_aside(path) as partial,
        zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
    ):
        for name, value in _present(arrays):
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, value, allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, buffer.getvalue())


def _present(arrays: HeadArrays) -> list[tuple[str, np.ndarray]]:
    """Fields and values in order; fields that this head does not have are neither stored nor hashed."""
    values = ((field.name, getattr(arrays, field.name)) for field in fields(arrays))
    return [(name, np.asarray(value)) for name, value in values if value is not None]


def load_arrays(path: Path) -> HeadArrays:
    """Read a head's `.npz`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not in the head form; the message names the file and the field.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"no head at {path}: run the stage `heads`, or import the head it is made from")
    try:
        with np.load(path, allow_pickle=False) as stored:
            values = {name: stored[name] for name in stored.files}
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, AttributeError) as error:
        raise ValueError(f"{path} cannot be read as a head: {error}") from error
    missing = [f.name for f in fields(HeadArrays) if f.name not in values and f.default is MISSING]
    if missing:
        raise ValueError(f"{path} is not in this project's head form: it lacks {', '.join(missing)}")
    known = {f.name: values[f.name] for f in fields(HeadArrays) if f.name in values}
    texts = ("name", "unit", "camera", "rotation")
    arguments: dict[str, Any] = {k: str(v) if k in texts else v for k, v in known.items()}
    arrays = HeadArrays(**arguments)
    arrays.check()
    return arrays


def arrays_sha256(arrays: HeadArrays) -> str:
    """Hash of a head's content, independent of how the file was compressed."""
    digest = hashlib.sha256()
    for name, value in _present(arrays):
        digest.update(f"{name}:{value.dtype.str}:{value.shape}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()
