"""Files laid out as FLAME's, DECA's and Deep3DFaceRecon's releases are, around a small sphere of a head.

Nothing here comes from a release: the layout is what is tested. Directions on the sphere are (azimuth, elevation) in
degrees, azimuth growing to the viewer's right.
"""

import pickle
import struct
import sys
import types
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from scipy.io import savemat
from scipy.sparse import csc_matrix

ROWS, COLUMNS = 24, 36
EYES = {"eye_left": (22.0, 15.0), "eye_right": (-22.0, 15.0)}  # the person's left eye is on the viewer's right
PLACE = np.array([0.2, 0.3, 0.5])  # barycentric, of every landmark


def sphere(radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) and outward triangles (F, 3) of a sphere open at both poles."""
    theta = np.linspace(0.1, np.pi - 0.1, ROWS)[:, None]
    phi = np.linspace(-np.pi, np.pi, COLUMNS, endpoint=False)[None]
    verts = np.stack([np.sin(theta) * np.sin(phi), np.cos(theta) + 0 * phi, np.sin(theta) * np.cos(phi)], -1)
    row, column = np.divmod(np.arange((ROWS - 1) * COLUMNS), COLUMNS)
    right = row * COLUMNS + (column + 1) % COLUMNS
    here = row * COLUMNS + column
    quads = np.stack([here, here + COLUMNS, right + COLUMNS, right], -1)
    return radius * verts.reshape(-1, 3), np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def directions(azimuth_deg, elevation_deg) -> np.ndarray:
    """Unit vectors (..., 3) towards directions."""
    azimuth, elevation = np.radians(azimuth_deg), np.radians(elevation_deg)
    return np.stack(
        [np.cos(elevation) * np.sin(azimuth), np.sin(elevation) + 0 * azimuth, np.cos(elevation) * np.cos(azimuth)], -1
    )


def _ring(centre: tuple[float, float], radii: tuple[float, float], count: int) -> np.ndarray:
    turn = np.linspace(np.pi, -np.pi, count, endpoint=False)  # from the viewer's left over the top
    return np.stack([centre[0] + radii[0] * np.cos(turn), centre[1] + radii[1] * np.sin(turn)], -1)


def face_directions() -> np.ndarray:
    """Directions (51, 2) of iBUG's landmarks 17-67."""
    brow = np.linspace(8, 40, 5)
    return np.concatenate(
        [
            np.stack([-brow[::-1], np.full(5, 30.0)], -1),
            np.stack([brow, np.full(5, 30.0)], -1),
            np.stack([np.zeros(4), np.linspace(20, 0, 4)], -1),
            np.stack([np.linspace(-10, 10, 5), np.full(5, -6.0)], -1),
            _ring(EYES["eye_right"], (9, 5), 6),
            _ring(EYES["eye_left"], (9, 5), 6),
            _ring((0, -25), (20, 8), 12),
            _ring((0, -25), (13, 4), 8),
        ]
    )


def contour_directions(yaw_deg: float) -> np.ndarray:
    """Directions (17, 2) of the outline of a head turned by `yaw_deg`: on the head they move the other way."""
    azimuth = np.linspace(-75, 75, 17)
    return np.stack([azimuth - yaw_deg, 10 - 50 * np.cos(np.radians(azimuth * 1.2))], -1)


def nearest_triangles(verts: np.ndarray, triangles: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Triangle whose centre lies most in each of the directions (N, 2)."""
    centres = verts[triangles].mean(1)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    return (directions(where[:, 0], where[:, 1]) @ centres.T).argmax(1)


@contextmanager
def chumpy():
    """Modules by chumpy's names, for as long as a pickle is written; what is read needs none."""
    made = {name: types.ModuleType(name) for name in ("chumpy", "chumpy.ch", "chumpy.reordering")}
    for module, name in (("chumpy.ch", "Ch"), ("chumpy.reordering", "Select")):
        kind = type(name, (), {"__module__": module, "__init__": lambda self, **state: self.__dict__.update(state)})
        setattr(made[module], name, kind)
    sys.modules.update(made)
    try:
        yield made["chumpy.ch"].Ch, made["chumpy.reordering"].Select
    finally:
        for name in made:
            del sys.modules[name]


class Python2Pickler(pickle._Pickler):
    """Write bytes and text as Python 2 wrote its strings, and old names of NumPy's and SciPy's modules."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_string(self, text):
        raw = text.encode("latin1") if isinstance(text, str) else text
        self.write(pickle.BINSTRING + struct.pack("<i", len(raw)) + raw)
        self.memoize(text)

    dispatch[bytes] = dispatch[str] = save_string

    def save(self, obj, save_persistent_id=True):
        module = getattr(obj, "__module__", None)
        if isinstance(obj, type | types.FunctionType | types.BuiltinFunctionType) and isinstance(module, str):
            old = {"numpy._core.multiarray": "numpy.core.multiarray", "scipy.sparse._csc": "scipy.sparse.csc"}
            if module in old:
                self.write(pickle.GLOBAL + f"{old[module]}\n{obj.__name__}\n".encode())
                return None
        return super().save(obj, save_persistent_id)


def flame_arrays(seed: int = 0) -> dict[str, np.ndarray]:
    """What a FLAME pickle holds, as plain arrays; skin, joints and directions of the sphere."""
    rng = np.random.default_rng(seed)
    verts, triangles = sphere(0.1)
    count = len(verts)
    unit = verts / np.linalg.norm(verts, axis=1, keepdims=True)
    elevation, azimuth = np.degrees(np.arcsin(unit[:, 1])), np.degrees(np.arctan2(unit[:, 0], unit[:, 2]))
    owner = np.ones(count, int)  # the skull turns with the neck
    owner[(np.abs(azimuth) < 60) & (elevation < -12) & (elevation > -60)] = 2
    for joint, name in ((3, "eye_left"), (4, "eye_right")):
        owner[unit @ directions(*EYES[name]) > np.cos(np.radians(12))] = joint
    owner[elevation <= -60] = 0
    regressor = np.zeros((5, count))
    for joint in range(5):
        regressor[joint, owner == joint] = 1 / (owner == joint).sum()
    return {
        "v_template": verts,
        "f": triangles.astype(np.uint32),
        "shapedirs": rng.normal(0, 1e-3, (count, 3, 400)).astype(np.float32),
        "posedirs": rng.normal(0, 1e-4, (count, 3, 36)),
        "J_regressor": regressor,
        "kintree_table": np.array([[2**32 - 1, 0, 1, 1, 1], range(5)], np.uint32),
        "weights": np.eye(5)[owner],
    }


def write_flame(path: Path, arrays: dict[str, np.ndarray], pickler: type = Python2Pickler, **extra) -> Path:
    """Pickle a FLAME model: chumpy objects around the large arrays, a sparse regressor, fields that nobody reads."""
    with chumpy() as (ch, select), path.open("wb") as stream:
        wide = np.concatenate([arrays["v_template"], np.ones((1, 3))]).T.copy()  # what Select picks the template from
        idxs = np.arange(wide.size).reshape(wide.shape)[:, :-1].T.ravel()
        stored = {
            **arrays,
            "v_template": select(a=ch(x=wide), idxs=idxs, preferred_shape=arrays["v_template"].shape),
            "shapedirs": ch(x=arrays["shapedirs"], _dirty_vars={"x"}, _itr=None),
            "weights": ch(x=arrays["weights"]),
            "J_regressor": csc_matrix(arrays["J_regressor"]),
            "bs_style": "lbs",
            "bs_type": "lrotmin",
            **extra,
        }
        pickler(stream, 2).dump(stored)
    return path


def embedding_arrays(arrays: dict[str, np.ndarray]) -> dict:
    """DECA's landmark embedding for a FLAME of `flame_arrays`: NumPy for the static part, torch for the dynamic one."""
    verts, triangles = arrays["v_template"], arrays["f"]
    rows = [*range(40), *range(-1, -40, -1)]
    dynamic = np.stack([nearest_triangles(verts, triangles, contour_directions(yaw)) for yaw in rows])
    return {
        "static_lmk_faces_idx": nearest_triangles(verts, triangles, face_directions()),
        "static_lmk_bary_coords": np.tile(PLACE, (51, 1)),
        "dynamic_lmk_faces_idx": torch.from_numpy(dynamic),
        "dynamic_lmk_bary_coords": torch.from_numpy(np.tile(PLACE, (79, 17, 1))),
    }


def write_embedding(path: Path, embedding: dict) -> Path:
    """Save the embedding as DECA does: a dictionary in an array without axes."""
    np.save(path, embedding, allow_pickle=True)
    return path


def bfm_variables(seed: int = 0) -> dict[str, np.ndarray]:
    """What BFM_model_front.mat holds: the front of the sphere, off its centre, numbers from 1."""
    rng = np.random.default_rng(seed)
    verts, triangles = sphere(1.0)
    front = verts[:, 2] > 0.1
    number = np.cumsum(front) - 1
    kept = number[triangles[front[triangles].all(1)]]
    verts = verts[front]
    where = np.concatenate([contour_directions(0.0), face_directions()])
    keypoints = (directions(where[:, 0], where[:, 1]) @ verts.T).argmax(1)
    return {
        "meanshape": (verts + [0.1, 0.2, 0.7]).reshape(1, -1),
        "idBase": rng.normal(0, 0.01, (verts.size, 80)),
        "exBase": rng.normal(0, 0.01, (verts.size, 64)),
        "texBase": np.zeros((verts.size, 80)),
        "tri": (kept + 1).astype(np.int32),
        "keypoints": (keypoints + 1).astype(np.int32)[None],
    }


def write_mat(path: Path, variables: dict[str, np.ndarray]) -> Path:
    """Save variables as a MATLAB 5 file."""
    savemat(path, variables)
    return path
