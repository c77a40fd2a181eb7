"""Importer of the Basel Face Model 2009, as Deep3DFaceRecon prepares it, into this project's head form.

Source: Deep3DFaceRecon_pytorch, util/load_mats.py (transferBFM09, which makes BFM_model_front.mat of Basel's release)
and models/bfm.py (how it is used): 80 identity and 64 expression codes in standard deviations, decimetres, the mean
face moved to its centroid, numbers in the file counted from 1. Choice: expression codes are bounded to three
deviations, as the release states no bounds.
"""

from collections.abc import Mapping

import numpy as np

from model.heads.arrays import HeadArrays
from model.releases.corners import landmark_corners

NUM_SHAPE, NUM_EXPRESSION = 80, 64
LANDMARK_FIELDS = ("tri", "keypoints")  # facemodel_info.mat has them too
MODEL_FIELDS = ("meanshape", "idBase", "exBase", *LANDMARK_FIELDS)
_DEVIATIONS = 3.0
_EXPECTED = "BFM_model_front.mat of Deep3DFaceRecon"
_BASEL = "shapeMU"  # a field of Basel's own 01_MorphableModel.mat


def import_bfm(where: str, stored: Mapping[str, np.ndarray]) -> HeadArrays:
    """Convert the face model.

    Args:
        where: the file, for messages.
        stored: the variables of BFM_model_front.mat as `scipy.io.loadmat` gives them: meanshape (1, 3V),
            idBase (3V, 80), exBase (3V, 64), tri (F, 3) and keypoints (68) counted from 1.

    Returns:
        Head "bfm": one joint at the face's centroid, turned by Deep3D's angles, and its perspective camera;
        template in decimetres, y up, z towards the viewer.

    Raises:
        ValueError: the file is another version; the message names it and what was expected.
    """
    if _BASEL in stored:
        raise ValueError(
            f"{where} is Basel's own release: expected {_EXPECTED}, "
            "which its util/load_mats.py (transferBFM09) makes of it"
        )
    missing = [name for name in MODEL_FIELDS if not isinstance(stored.get(name), np.ndarray)]
    if missing:
        hint = "; facemodel_info.mat has them" if set(missing) <= set(LANDMARK_FIELDS) else ""
        raise ValueError(f"{where} is not {_EXPECTED}: it lacks {', '.join(missing)}{hint}")
    _check(where, stored)
    mean = stored["meanshape"].astype(np.float32).reshape(-1, 3)
    template = mean - mean.mean(0, keepdims=True)
    triangles = _facing_the_viewer(template, stored["tri"].astype(np.int32) - 1)
    corner_triangles, barycentric = landmark_corners(where, triangles, stored["keypoints"].ravel().astype(np.int64) - 1)
    count = len(template)
    arrays = HeadArrays(
        name="bfm",
        unit="dm",
        template=template,
        triangles=triangles,
        shape_basis=_directions(stored["idBase"]),
        expression_basis=_directions(stored["exBase"]),
        expression_names=np.array([f"expression_{number}" for number in range(NUM_EXPRESSION)]),
        expression_low=np.full(NUM_EXPRESSION, -_DEVIATIONS, np.float32),
        expression_high=np.full(NUM_EXPRESSION, _DEVIATIONS, np.float32),
        joint_names=np.array(["root"]),
        joint_parents=np.array([-1], np.int32),
        joint_regressor=np.zeros((1, count), np.float32),
        skin_weights=np.ones((count, 1), np.float32),
        pose_basis=np.zeros((0, count, 3), np.float32),
        landmark_triangles=corner_triangles,
        landmark_barycentric=barycentric,
        triangle_part=np.zeros(len(triangles), np.int32),
        part_names=np.array(["face"]),
        camera="deep3d_perspective",
        rotation="deep3d_euler",
    )
    arrays.check()
    return arrays


def _check(where: str, stored: Mapping[str, np.ndarray]) -> None:
    length = stored["meanshape"].size
    expected = {
        "meanshape": (1, 3 * (length // 3)), "idBase": (length, NUM_SHAPE), "exBase": (length, NUM_EXPRESSION),
        "tri": (len(stored["tri"]), 3),
    }  # fmt: skip
    for name, shape in expected.items():
        if stored[name].shape != shape or stored[name].dtype.kind not in "iuf":
            raise ValueError(
                f"{where} is not {_EXPECTED}: {name} is {stored[name].shape} of {stored[name].dtype}, expected {shape}"
            )
        if not np.isfinite(stored[name]).all():
            raise ValueError(f"{where}: {name} has a value that is not finite")
    if stored["keypoints"].size != 68 or stored["keypoints"].dtype.kind not in "iuf":
        raise ValueError(f"{where}: keypoints has {stored['keypoints'].size} numbers, expected 68")
    for name in ("tri", "keypoints"):
        if stored[name].min() < 1 or stored[name].max() > length // 3:
            raise ValueError(f"{where}: {name} has a number outside 1..{length // 3}")


def _facing_the_viewer(template: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Wind the triangles of an open face counter-clockwise as seen from the front (Deep3D draws both sides)."""
    x, y = template[triangles][..., 0].astype(np.float64), template[triangles][..., 1].astype(np.float64)
    twice_area = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0])
    return triangles if twice_area.sum() >= 0 else np.ascontiguousarray(triangles[:, ::-1])


def _directions(basis: np.ndarray) -> np.ndarray:
    """(3V, K) -> (K, V, 3)."""
    return np.ascontiguousarray(basis.astype(np.float32).T.reshape(basis.shape[1], -1, 3))
