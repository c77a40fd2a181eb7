"""Soft fields of the puppet head for a renderer: where skin, lips, brows, irises, hair and so on are.

Two ways to use them:

- per vertex: `vertex_masks(arrays)["lips"]`, interpolated over triangles; edges are as coarse as the mesh (2-3 mm);
- per pixel (crisp): interpolate the template's coordinates over the image with the fragments' barycentrics, take the
  part of each pixel's triangle, and call `point_masks(points, part_names)`, or single functions of
  `head_geometry.regions` with their parameters (iris size, brow height, hairline).

Fields are functions of template coordinates (cm), so they stick to the surface under every shape, expression and pose.
"""

import numpy as np

from model.heads.arrays import HeadArrays
from pipeline.puppets.head_geometry import regions

SKIN_PARTS = ("skin", "lips", "eyelid", "neck", "scalp", "ear")
EYE_PARTS = ("eyeball_left", "eyeball_right")
SKIN_FIELDS = {
    "lips": regions.lips,
    "brows": regions.brows,
    "lids": regions.lids,
    "lash_line": regions.lash_line,
    "scalp": regions.scalp,
    "cheeks": regions.cheeks,
    "beard": regions.beard,
    "nostrils": regions.nostrils,
    "neck": regions.neck,
}


def point_masks(points: np.ndarray, part: np.ndarray) -> dict[str, np.ndarray]:
    """Evaluate every field at template points.

    Args:
        points: (..., 3) template coordinates in cm.
        part: (...) part names (strings of `assembly.PART_NAMES`).

    Returns:
        name -> (...) float32 in [0, 1]: lips, brows, lids, lash_line, scalp, cheeks, beard, nostrils, neck (0 off
        the skin and on the ears); iris (pupil included), pupil, sclera (eyeballs only); teeth, gums, tongue, cavity and
        ear (1 on that part).
    """
    skin = np.isin(part, [name for name in SKIN_PARTS if name != "ear"])
    eye = np.isin(part, EYE_PARTS)
    masks = {name: np.where(skin, field(points), 0.0) for name, field in SKIN_FIELDS.items()}
    masks["iris"], masks["pupil"] = np.where(eye, regions.iris(points), 0.0), np.where(eye, regions.pupil(points), 0.0)
    masks["sclera"] = np.where(eye, 1.0 - masks["iris"], 0.0)
    masks |= {name: part == name for name in ("teeth", "gums", "tongue", "ear")}
    masks["cavity"] = part == "mouth_cavity"
    return {name: np.asarray(mask, np.float32) for name, mask in masks.items()}


def vertex_parts(arrays: HeadArrays) -> np.ndarray:
    """Part name (V,) of every vertex; on a border, that of its triangle with the smallest part number."""
    part = np.full(len(arrays.template), len(arrays.part_names))
    for corner in range(3):
        np.minimum.at(part, arrays.triangles[:, corner], arrays.triangle_part)
    return arrays.part_names[part]


def vertex_masks(arrays: HeadArrays) -> dict[str, np.ndarray]:
    """Every field of `point_masks` at the vertices of the head "puppet": name -> (V,) float32 in [0, 1]."""
    return point_masks(arrays.template.astype(float), vertex_parts(arrays))
