"""Importer of FLAME (2019, 2020, 2023) with DECA's landmark embedding into this project's head form.

Sources: FLAME's release, a pickle with chumpy and SciPy objects inside; DECA, decalib/models/FLAME.py (which components
are used, what the embedding's fields mean). Choice: expression codes are bounded to three deviations, as the release
states no bounds; landmarks 0-16 are DECA's `landmarks2d`, which follow the visible outline as the head turns.
"""

from pathlib import Path
from typing import Any

import numpy as np

from model.heads.arrays import HeadArrays
from model.heads.contour import CONTOUR_POINTS, CONTOUR_YAWS
from model.releases.inert import StoredArray, to_array
from model.releases.restricted_pickle import read_pickle

JOINTS = ("root", "neck", "jaw", "eye_left", "eye_right")
PARENTS = (-1, 0, 1, 1, 1)
NUM_SHAPE, NUM_EXPRESSION = 100, 50  # what DECA regresses
_FIRST_EXPRESSION = 300  # of the release's 400 components, 300 are identity and 100 expression
_COMPONENTS = 400
_STATIC = 68 - CONTOUR_POINTS
_DEVIATIONS = 3.0
_MODEL = "FLAME's model pickle (generic_model.pkl of 2019 or 2020, flame2023.pkl)"
_EMBEDDING = "DECA's landmark_embedding.npy"
_MODEL_FIELDS = ("v_template", "f", "shapedirs", "posedirs", "J_regressor", "kintree_table", "weights")
_EMBEDDING_FIELDS = (
    "static_lmk_faces_idx", "static_lmk_bary_coords", "dynamic_lmk_faces_idx", "dynamic_lmk_bary_coords",
)  # fmt: skip


def import_flame(model: Path, embedding: Path) -> HeadArrays:
    """Convert FLAME: identity components 0-99, expression components 300-349, all five joints, pose correctives.

    Args:
        model: the release's pickle; template in metres, y up, z towards the viewer.
        embedding: DECA's landmark_embedding.npy: 51 landmarks on the mesh, and 17 of the contour for 79 yaws.

    Returns:
        Head "flame": scaled-orthographic camera, axis-angle pose in the order root, neck, jaw, left eye, right eye,
        codes in standard deviations.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file is another one, damaged, or asks for code to be run; the message names the file and what
            was expected.
    """
    mesh = _fields(model, _MODEL, _MODEL_FIELDS)
    marks = _fields(embedding, _EMBEDDING, _EMBEDDING_FIELDS)
    _check_model(model, mesh)
    _check_embedding(embedding, marks, len(mesh["f"]))
    directions = mesh["shapedirs"].transpose(2, 0, 1)  # (400, V, 3)
    contour = marks["dynamic_lmk_faces_idx"].astype(np.int32)
    contour_weights = marks["dynamic_lmk_bary_coords"].astype(np.float32)
    arrays = HeadArrays(
        name="flame",
        unit="m",
        template=mesh["v_template"].astype(np.float32),
        triangles=mesh["f"].astype(np.int32),
        shape_basis=np.ascontiguousarray(directions[:NUM_SHAPE], np.float32),
        expression_basis=np.ascontiguousarray(directions[_FIRST_EXPRESSION:][:NUM_EXPRESSION], np.float32),
        expression_names=np.array([f"expression_{number}" for number in range(NUM_EXPRESSION)]),
        expression_low=np.full(NUM_EXPRESSION, -_DEVIATIONS, np.float32),
        expression_high=np.full(NUM_EXPRESSION, _DEVIATIONS, np.float32),
        joint_names=np.array(JOINTS),
        joint_parents=np.array(PARENTS, np.int32),
        joint_regressor=mesh["J_regressor"].astype(np.float32),
        skin_weights=mesh["weights"].astype(np.float32),
        pose_basis=np.ascontiguousarray(mesh["posedirs"].transpose(2, 0, 1), np.float32),
        landmark_triangles=np.concatenate([contour[0], marks["static_lmk_faces_idx"].astype(np.int32)]),
        landmark_barycentric=np.concatenate([contour_weights[0], marks["static_lmk_bary_coords"].astype(np.float32)]),
        triangle_part=np.zeros(len(mesh["f"]), np.int32),
        part_names=np.array(["head"]),
        camera="scaled_orthographic",
        rotation="axis_angle",
        contour_triangles=contour,
        contour_barycentric=contour_weights,
    )
    arrays.check()
    return arrays


def _fields(path: Path, expected: str, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Read the named arrays of a pickled dictionary."""
    stored: Any = read_pickle(path, expected)
    if isinstance(stored, StoredArray) and stored.objects is not None and len(stored.objects) == 1:
        (stored,) = stored.objects  # an .npy file holds its dictionary in an array without axes
    if not isinstance(stored, dict):
        raise ValueError(f"{path} is not {expected}: it holds {type(stored).__name__}, expected a dictionary")
    missing = [name for name in names if name not in stored]
    if missing:
        raise ValueError(f"{path} is not {expected}: it lacks {', '.join(missing)}")
    try:
        arrays = {name: np.atleast_1d(to_array(stored[name], name)) for name in names}
    except ValueError as error:
        raise ValueError(f"{path} is not {expected}: {error}") from None
    for name, values in arrays.items():
        if not np.isfinite(values).all():
            raise ValueError(f"{path}: {name} has a value that is not finite")
    return arrays


def _check_model(path: Path, mesh: dict[str, np.ndarray]) -> None:
    count, joints = len(mesh["v_template"]), len(JOINTS)
    directions = mesh["shapedirs"].shape[2:]
    if not directions or directions[0] < _FIRST_EXPRESSION + NUM_EXPRESSION:
        raise ValueError(
            f"{path} is not {_MODEL}: shapedirs is {mesh['shapedirs'].shape}, expected (V, 3, {_COMPONENTS})"
        )
    expected = {
        "v_template": (count, 3), "f": (len(mesh["f"]), 3), "shapedirs": (count, 3, *directions),
        "posedirs": (count, 3, 9 * (joints - 1)), "J_regressor": (joints, count), "kintree_table": (2, joints),
        "weights": (count, joints),
    }  # fmt: skip
    _check_shapes(path, _MODEL, mesh, expected)
    parents = tuple(mesh["kintree_table"][0].astype(np.int64).tolist())
    if parents[1:] != PARENTS[1:]:  # the root's is -1, or what -1 becomes without a sign
        raise ValueError(f"{path} is not {_MODEL}: joints hang on {parents[1:]}, expected {PARENTS[1:]}")
    _check_numbers(path, mesh["f"], count, "f")


def _check_embedding(path: Path, marks: dict[str, np.ndarray], triangles: int) -> None:
    dynamic = (CONTOUR_YAWS, CONTOUR_POINTS)
    shapes = ((_STATIC,), (_STATIC, 3), dynamic, (*dynamic, 3))
    _check_shapes(path, _EMBEDDING, marks, dict(zip(_EMBEDDING_FIELDS, shapes, strict=True)))
    for name in ("static_lmk_faces_idx", "dynamic_lmk_faces_idx"):
        _check_numbers(path, marks[name], triangles, name)


def _check_shapes(path: Path, what: str, found: dict[str, np.ndarray], expected: dict[str, tuple]) -> None:
    for name, shape in expected.items():
        if found[name].shape != shape:
            raise ValueError(f"{path} is not {what}: {name} is {found[name].shape}, expected {shape}")


def _check_numbers(path: Path, numbers: np.ndarray, limit: int, name: str) -> None:
    if numbers.size and (numbers.min() < 0 or numbers.max() >= limit):
        raise ValueError(f"{path}: {name} has a number outside 0..{limit - 1}: not of one release?")
