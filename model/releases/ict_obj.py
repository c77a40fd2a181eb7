"""ICT-FaceKit's own files (the folder FaceXModel), gathered in the fields that `model.releases.ict` converts.

Source: ICT-VGL/ICT-FaceKit, README.md (vertex ranges of the parts) and FaceXModel/vertex_indices.json (names of the
expressions, landmarks). Choice: lacrimal fluid, eye blends, occlusion meshes and lashes, vertices from 24591 on, are
left out: they lie over the skin and would hide it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

NEUTRAL, INDICES = "generic_neutral_mesh.obj", "vertex_indices.json"
NUM_IDENTITIES = 100
_RELEASE = "ICT-FaceKit's FaceXModel (MIT licence, github.com/ICT-VGL/ICT-FaceKit)"
_PART_STARTS = {
    "face": 0, "head_and_neck": 9409, "mouth_socket": 11248, "eye_socket_left": 13294, "eye_socket_right": 13678,
    "gums_and_tongue": 14062, "teeth": 17039, "eyeball_left": 21451, "eyeball_right": 23021,
}  # fmt: skip
_USED_VERTICES = 24591


@dataclass(frozen=True)
class Gathered:
    """A release, complete or not: fields for `model.releases.ict`, names of the files read, and of those it lacks."""

    source: dict[str, np.ndarray]
    used: tuple[str, ...]
    missing: tuple[str, ...]


def gather(files: Mapping[str, Path]) -> Gathered:
    """Read what there is of a release; identities and expressions that are not there are named, and left out.

    Args:
        files: the release's files by name; at least the neutral mesh, vertex_indices.json, one identity and one
            expression.

    Raises:
        FileNotFoundError: one that no head can do without is missing.
        ValueError: a file cannot be read, or does not belong to the neutral mesh; the message names it.
    """
    for name in (NEUTRAL, INDICES):
        if name not in files:
            raise FileNotFoundError(f"there is no {name} among the given files: expected {_RELEASE}")
    names, landmarks = _indices(files[INDICES])
    identities = [f"identity{number:03}.obj" for number in range(NUM_IDENTITIES)]
    expressions = [f"{name}.obj" for name in names]
    used = tuple(name for name in (NEUTRAL, INDICES, *identities, *expressions) if name in files)
    missing = tuple(name for name in (*identities, *expressions) if name not in files)
    for kind, wanted in (("identity", identities), ("expression", expressions)):
        if not set(wanted) & set(files):
            raise FileNotFoundError(
                f"there is no {kind} such as {wanted[0]} among the given files: expected {_RELEASE}"
            )
    neutral, triangles = _mesh(files[NEUTRAL])
    if len(neutral) < _USED_VERTICES:
        raise ValueError(f"{files[NEUTRAL]} has {len(neutral)} vertices, expected at least {_USED_VERTICES}")

    def offsets(wanted: list[str]) -> np.ndarray:
        return np.stack([_offset(files[name], neutral) for name in wanted if name in files])

    inside = (triangles < _USED_VERTICES).all(1)
    return Gathered(
        {
            "template": neutral[:_USED_VERTICES].astype(np.float32),
            "identity": offsets(identities),
            "expression": offsets(expressions),
            "expression_names": np.array([name for name in names if f"{name}.obj" in files]),
            "triangles": triangles[inside],
            "landmarks68": landmarks,
            "parts": np.array([*_PART_STARTS.values(), _USED_VERTICES], np.int32),
            "part_names": np.array(list(_PART_STARTS)),
        },
        used,
        missing,
    )


def _indices(path: Path) -> tuple[list[str], np.ndarray]:
    try:
        stored = json.loads(path.read_text())
        names, landmarks = stored["expressions"], np.asarray(stored["idx_to_landmark_verts"], np.int32)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"{path} is not {INDICES} of {_RELEASE} ({type(error).__name__}: {error})") from None
    if landmarks.shape != (68,) or landmarks.min() < 0 or landmarks.max() >= _USED_VERTICES:
        raise ValueError(f"{path}: idx_to_landmark_verts must be 68 numbers in 0..{_USED_VERTICES - 1}")
    return [str(name) for name in names], landmarks


def _offset(path: Path, neutral: np.ndarray) -> np.ndarray:
    vertices = _vertices(path, path.read_text(errors="replace").splitlines())
    if vertices.shape != neutral.shape:
        raise ValueError(f"{path} has {len(vertices)} vertices, but the neutral mesh has {len(neutral)}")
    return (vertices - neutral)[:_USED_VERTICES].astype(np.float32)


def _mesh(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (N, 3) float64 and triangles (F, 3); faces of more corners are cut into fans."""
    lines = path.read_text(errors="replace").splitlines()
    vertices, triangles = _vertices(path, lines), []
    try:
        for line in lines:
            if line.startswith("f "):
                corners = [int(corner.split("/")[0]) - 1 for corner in line.split()[1:]]
                triangles += [(corners[0], *corners[i : i + 2]) for i in range(1, len(corners) - 1)]
        found = np.array(triangles, np.int32).reshape(-1, 3)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{path} is no OBJ file of triangles and quads: {error}") from None
    if not len(found) or found.min() < 0 or found.max() >= len(vertices):
        raise ValueError(f"{path}: faces must name vertices 1..{len(vertices)}, and there must be some")
    return vertices, found


def _vertices(path: Path, lines: list[str]) -> np.ndarray:
    try:
        vertices = np.array([line.split()[1:4] for line in lines if line.startswith("v ")], np.float64).reshape(-1, 3)
    except ValueError as error:
        raise ValueError(f"{path} is no OBJ file: {error}") from None
    if not len(vertices) or not np.isfinite(vertices).all():
        raise ValueError(f"{path} is no OBJ file of {_RELEASE}: it has no vertices, or one that is not finite")
    return vertices
