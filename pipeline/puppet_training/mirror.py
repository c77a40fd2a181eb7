"""The mirror image of a puppet crop is a puppet crop too: twice the training set for one rendering."""

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from model.heads.arrays import HeadArrays
from model.heads.fit import HeadFit

# iBUG-68 landmark that takes the place of each landmark in the mirror
LANDMARKS = np.array(
    [*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31]
    + [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]
    + [54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]
)
LARGEST_RESIDUAL = 0.15  # of a direction's length: what the basis may fail to say about its mirror image


def mirrored_basis(arrays: HeadArrays, basis: np.ndarray) -> np.ndarray:
    """Matrix (K, K) that takes codes of a basis (K, V, 3) to the codes of the mirrored offsets.

    Raises:
        ValueError: the head or the basis is not symmetric.
    """
    template = arrays.template.astype(np.float64)
    distance, twin = cKDTree(template).query(template * [-1, 1, 1])
    if distance.max() > 1e-4 * np.ptp(template):
        raise ValueError(f"head {arrays.name} is not symmetric: no mirror images can be made of it")
    flat = basis.astype(np.float64).reshape(len(basis), -1)
    seen = (basis.astype(np.float64)[:, twin] * [-1, 1, 1]).reshape(len(basis), -1)
    codes = np.linalg.lstsq(flat.T, seen.T, rcond=None)[0]  # column k: codes of direction k's mirror image
    residual = np.linalg.norm(seen - codes.T @ flat, axis=1) / np.linalg.norm(seen, axis=1)
    if residual.max() > LARGEST_RESIDUAL:
        raise ValueError(f"head {arrays.name}: direction {residual.argmax()} of a basis has no mirror image in it")
    return codes


def mirror_fit(arrays: HeadArrays, fit: HeadFit) -> HeadFit:
    """True codes of the mirrored crops, for a head with axis-angle joints and a scaled orthographic camera."""
    shape, expression = (
        codes @ torch.from_numpy(mirrored_basis(arrays, basis).T).float()
        for codes, basis in ((fit.shape, arrays.shape_basis), (fit.expression, arrays.expression_basis))
    )
    names = [str(name) for name in arrays.joint_names]
    other = {"left": "right", "right": "left"}
    twins = [names.index("_".join(other.get(word, word) for word in name.split("_"))) for name in names]
    joints = fit.pose.unflatten(-1, (-1, 3))[:, twins] * torch.tensor([1.0, -1.0, -1.0])
    camera = fit.camera * torch.tensor([1.0, -1.0, 1.0])
    across = torch.tensor([1.0, -1.0, -1.0, -1.0, 1.0, 1.0])
    return HeadFit(shape, expression, joints.flatten(1), camera, fit.tracker_map * across)


def mirror_landmarks(landmarks_ndc: Tensor) -> Tensor:
    """Landmarks (N, 68, 2) of the mirrored crops."""
    return landmarks_ndc[:, LANDMARKS] * landmarks_ndc.new_tensor([-1.0, 1.0])
