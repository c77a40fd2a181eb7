"""Importer of ICT-FaceKit, an MIT-licensed morphable head, into this project's head form.

Source: ICT-VGL/ICT-FaceKit, gathered in one `ict_facekit.npz` (the release's OBJ files, vertices 0 to
24590, as float16 offsets from the neutral mesh), or those OBJ files themselves (model/releases/ict_obj.py).
Choice: eyes and jaw stay what they are in the release, expression directions; the only joint is the
root, at the release's origin, which lies between the ears and which no shape moves.
"""

import zipfile
from pathlib import Path

import numpy as np

from model.heads.arrays import HeadArrays
from model.releases.corners import landmark_corners

_SOURCE_FIELDS = (
    "template", "identity", "expression", "expression_names", "triangles", "landmarks68", "parts", "part_names",
)  # fmt: skip
_FACE_PART = "face"


def import_ict(path: Path) -> HeadArrays:
    """Convert the whole head: face, skull, neck, mouth, eyes.

    Args:
        path: `ict_facekit.npz`; template in cm, y up, z towards the viewer.

    Returns:
        Head "ict": scaled-orthographic camera, 100 identity codes of unit variance, 53 expression
        codes in [0, 1].

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not ICT-FaceKit's; the message says what is missing or misshapen.
    """
    return whole_head(_read(path))


def import_ict_face(path: Path) -> HeadArrays:
    """Convert the face part alone (no skull, neck, eyeballs or mouth), renumbering its vertices.

    Arguments and errors as `import_ict`.
    """
    return face_head(_read(path))


def whole_head(source: dict[str, np.ndarray]) -> HeadArrays:
    """Make head "ict" of the fields that `ict_facekit.npz` has."""
    return _to_head("ict", source)


def face_head(source: dict[str, np.ndarray]) -> HeadArrays:
    """Make head "ict_face" of the fields that `ict_facekit.npz` has."""
    source = dict(source)
    parts = [str(name) for name in source["part_names"]]
    first, last = source["parts"][parts.index(_FACE_PART) :][:2]
    inside = (source["triangles"] >= first) & (source["triangles"] < last)
    source["triangles"] = source["triangles"][inside.all(1)]
    used = np.unique(source["triangles"])
    number = np.full(len(source["template"]), -1, np.int32)
    number[used] = np.arange(len(used), dtype=np.int32)
    source["triangles"] = number[source["triangles"]]
    source["landmarks68"] = number[source["landmarks68"]]
    source["template"] = source["template"][used]
    for basis in ("identity", "expression"):
        source[basis] = source[basis][:, used]
    source["parts"] = np.array([0, len(used)], np.int32)
    source["part_names"] = np.array([_FACE_PART])
    return _to_head("ict_face", source)


def _read(path: Path) -> dict[str, np.ndarray]:
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"no ICT-FaceKit at {path}: put ict_facekit.npz (MIT licence, github.com/ICT-VGL/ICT-FaceKit) there"
        )
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is not ict_facekit.npz: it is no .npz archive")
    try:
        with np.load(path, allow_pickle=False) as stored:
            missing = [name for name in _SOURCE_FIELDS if name not in stored]
            if missing:
                raise ValueError(f"{path} is not ict_facekit.npz: it lacks {', '.join(missing)}")
            source = {name: stored[name] for name in _SOURCE_FIELDS}
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        raise ValueError(f"{path} is not ict_facekit.npz: {error}") from error
    _check_source(path, source)
    return source


def _check_source(path: Path, source: dict[str, np.ndarray]) -> None:
    vertices, expressions = len(source["template"]), len(source["expression_names"])
    expected = {
        "template": (vertices, 3),
        "identity": (len(source["identity"]), vertices, 3),
        "expression": (expressions, vertices, 3),
        "landmarks68": (68,),
        "parts": (len(source["part_names"]) + 1,),
    }
    for name, shape in expected.items():
        if source[name].shape != shape:
            raise ValueError(f"{path}: {name} is {source[name].shape}, expected {shape}")
    if source["parts"][-1] != vertices or _FACE_PART not in source["part_names"]:
        raise ValueError(f"{path}: parts must end at {vertices} and name a part {_FACE_PART!r}")
    for name in ("triangles", "landmarks68"):
        if source[name].min() < 0 or source[name].max() >= vertices:
            raise ValueError(f"{path}: {name} has a vertex outside 0..{vertices - 1}")


def _to_head(name: str, source: dict[str, np.ndarray]) -> HeadArrays:
    vertices, expressions = len(source["template"]), len(source["expression_names"])
    triangles = source["triangles"].astype(np.int32)
    landmark_triangles, barycentric = landmark_corners("ICT-FaceKit", triangles, source["landmarks68"])
    part_of_vertex = np.searchsorted(source["parts"], np.arange(vertices), side="right") - 1
    return HeadArrays(
        name=name,
        unit="cm",
        template=source["template"].astype(np.float32),
        triangles=triangles,
        shape_basis=source["identity"],
        expression_basis=source["expression"],
        expression_names=source["expression_names"],
        expression_low=np.zeros(expressions, np.float32),
        expression_high=np.ones(expressions, np.float32),
        joint_names=np.array(["root"]),
        joint_parents=np.array([-1], np.int32),
        joint_regressor=np.zeros((1, vertices), np.float32),
        skin_weights=np.ones((vertices, 1), np.float32),
        pose_basis=np.zeros((0, vertices, 3), np.float32),
        landmark_triangles=landmark_triangles,
        landmark_barycentric=barycentric,
        triangle_part=np.median(part_of_vertex[triangles], axis=1).astype(np.int32),
        part_names=source["part_names"],
        camera="scaled_orthographic",
        rotation="axis_angle",
    )
