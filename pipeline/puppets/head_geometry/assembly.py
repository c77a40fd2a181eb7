"""The whole head as one mesh: skin and organs, their parts, and which vertex mirrors which."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from pipeline.puppets.head_geometry import organs, regions
from pipeline.puppets.head_geometry.sections import JAW_ROW
from pipeline.puppets.head_geometry.skin import skin_vertices
from pipeline.puppets.head_geometry.topology import SkinTopology, skin_topology

PART_NAMES = (
    "skin",
    "lips",
    "eyelid",
    "ear",
    "neck",
    "scalp",
    "eyeball_left",
    "eyeball_right",
    "mouth_cavity",
    "teeth",
    "gums",
    "tongue",
)
PIECES = ("skin", "eye_left", "eye_right", "ear_left", "ear_right", "teeth_upper", "teeth_lower", "tongue")


@dataclass(frozen=True)
class HeadMesh:
    """The neutral head.

    Attributes:
        template: (V, 3) cm.
        triangles: (F, 3).
        triangle_part: (F,) number into PART_NAMES.
        piece: (V,) number into PIECES.
        mirror: (V,) the vertex at the mirrored place (itself in the middle).
        skin: connectivity of the skin, whose vertices come first.
    """

    template: np.ndarray
    triangles: np.ndarray
    triangle_part: np.ndarray
    piece: np.ndarray
    mirror: np.ndarray
    skin: SkinTopology


def build_mesh() -> HeadMesh:
    """Build the neutral head; deterministic."""
    topology = skin_topology()
    eye, ear = organs.eyeball(), organs.ear()
    pieces = [
        (skin_vertices(topology), topology.triangles, topology.triangle_part),
        eye,
        organs.mirrored(eye),
        ear,
        organs.mirrored(ear),
        organs.teeth(True),
        organs.teeth(False),
        organs.tongue(),
    ]
    starts = np.cumsum([0] + [len(vertices) for vertices, _, _ in pieces])
    template = np.concatenate([vertices for vertices, _, _ in pieces])
    triangles = np.concatenate([tri + start for (_, tri, _), start in zip(pieces, starts[:-1], strict=True)])
    names = np.concatenate([parts for _, _, parts in pieces])
    names = _refine_skin_parts(names, template[triangles].mean(1), triangles, topology)
    part = np.array([PART_NAMES.index(name) for name in names], np.int32)
    piece = np.repeat(np.arange(len(pieces)), np.diff(starts))
    return HeadMesh(template, triangles.astype(np.int32), part, piece, mirror_map(template, topology), topology)


def _refine_skin_parts(
    names: np.ndarray, centre: np.ndarray, triangles: np.ndarray, topology: SkinTopology
) -> np.ndarray:
    """Divide the grid's skin into lips, lids, neck, scalp and the rest."""
    names = names.copy()
    skin = names == "skin"
    row = np.full(topology.num_vertices, -1)
    row[topology.upper] = np.arange(len(topology.upper))[:, None]
    row[topology.lower] = np.arange(len(topology.upper))[:, None]
    below_jaw = np.zeros(len(triangles), bool)
    below_jaw[skin] = row[triangles[skin]].min(1) >= JAW_ROW + 2
    names[skin & (regions.lips(centre) > 0.5)] = "lips"
    names[skin & (regions.lids(centre) > 0.5)] = "eyelid"
    names[skin & (regions.scalp(centre) > 0.5)] = "scalp"
    names[skin & below_jaw] = "neck"
    return names


def mirror_map(template: np.ndarray, topology: SkinTopology) -> np.ndarray:
    """Vertex number of each vertex's mirror image (V,); the two lips' copies are told apart by a hair of height."""
    _, mirror = cKDTree(template).query(template * (-1.0, 1.0, 1.0))
    if not np.array_equal(mirror[mirror], np.arange(len(template))):
        raise ValueError("the head's mesh is not symmetric")
    return mirror
