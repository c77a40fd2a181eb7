"""Expressions: named displacements of the neutral head, code 1 the full action.

Lids are built, not pushed: the skin is laid again with the lids at another aperture, so that they slide over the
eyeball. The other actions push soft regions; regions of one lip end at the line between the lips.
"""

from collections.abc import Callable
from typing import cast

import numpy as np

from pipeline.puppets.head_geometry import relief
from pipeline.puppets.head_geometry.assembly import PIECES, HeadMesh
from pipeline.puppets.head_geometry.relief import smooth_step
from pipeline.puppets.head_geometry.skin import skin_vertices

Vector = tuple[float, float, float]
Field = Callable[[np.ndarray], np.ndarray]


def _one_side(x: np.ndarray, side: float) -> np.ndarray:
    """1 on one side of the face (+1 the person's left), 0 on the other, soft over 1.2 cm."""
    return np.ones_like(x) if side == 0 else smooth_step(-0.6, 0.6, side * x)


def region(centre: Vector, width: Vector, by: Vector, side: float = 0.0, lip: str = "both") -> Field:
    """Push the soft surroundings of a place and, for side 0, of its mirror image; `by` in cm, x mirrored.

    Args:
        centre: the place on the person's left (x >= 0).
        width: standard widths of the region.
        by: offset at its middle.
        side: +1 left only, -1 right only, 0 both.
        lip: "upper" or "lower" ends the region at the line between the lips.
    """

    def field(p: np.ndarray) -> np.ndarray:
        sides = (1.0, -1.0) if side == 0 and centre[0] else (side or 1.0,)
        total = np.zeros_like(p)
        for s in sides:
            u = (p - np.array(centre) * (s, 1, 1)) / np.array(width)
            total += np.exp(-0.5 * (u * u).sum(-1))[..., None] * np.array(by) * (s, 1, 1)
        if not centre[0] and side:
            total = total * np.asarray(_one_side(p[..., 0], side))[..., None]
        return total if lip == "both" else total * _lip_share(p, lip)[..., None]

    return field


def _lip_share(p: np.ndarray, lip: str) -> np.ndarray:
    over = p[..., 1] - relief.lip_line(p[..., 0])
    t = np.clip(np.abs(p[..., 0]) / relief.MOUTH_HALF_WIDTH, 0, 1)
    whole = smooth_step(0.0, 0.45, np.abs(over)) * t**2 + (1 - t**2)  # beside the mouth's corners there is no line
    return np.where((over > 0) == (lip == "upper"), whole, 0.0)


def _sum(*fields: Field) -> Field:
    return lambda p: cast(np.ndarray, sum(field(p) for field in fields))


def _smile(s: float) -> Field:
    return _sum(
        region((2.5, -6.9, 9.3), (1.0, 0.9, 2.0), (0.48, 0.48, -0.36), s),
        region((1.4, -6.8, 10.1), (1.1, 1.0, 2.0), (0.18, 0.20, -0.14), s),
        region((0.0, -6.9, 10.2), (1.6, 1.0, 2.0), (0.0, 0.10, -0.06), s),
        region((3.9, -4.3, 8.2), (1.3, 1.2, 2.0), (0.12, 0.36, 0.28), s),
        region((3.0, -1.2, 8.2), (1.2, 0.6, 1.6), (0.0, 0.14, 0.06), s),
    )


def _frown(s: float) -> Field:
    return _sum(
        region((2.4, -7.1, 9.3), (0.85, 0.8, 2.0), (0.05, -0.48, -0.08), s),
        region((1.8, -8.6, 9.3), (0.9, 0.8, 2.0), (0.05, -0.16, 0.08), s),
    )


def _sneer(s: float) -> Field:
    return _sum(
        region((1.2, -4.2, 10.4), (0.7, 0.8, 1.6), (0.12, 0.30, 0.04), s),
        region((1.2, -6.1, 10.4), (0.8, 0.6, 1.6), (0.04, 0.34, 0.08), s, lip="upper"),
        region((0.9, -1.2, 10.0), (0.6, 0.8, 1.5), (-0.06, 0.12, 0.08), s),
    )


def _brow(where: str, s: float) -> Field:
    if where == "inner_up":
        return region((1.5, 2.5, 9.2), (1.0, 1.0, 2.0), (0.02, 0.55, 0.06), s)
    if where == "outer_up":
        return region((4.6, 2.6, 7.6), (1.3, 1.1, 2.4), (0.05, 0.52, 0.06), s)
    return _sum(
        region((1.7, 2.2, 9.2), (1.1, 0.75, 2.0), (-0.20, -0.46, 0.14), s),
        region((4.2, 2.4, 8.0), (1.2, 0.8, 2.0), (-0.05, -0.26, 0.04), s),
    )


def _squint(s: float) -> Field:
    return _sum(
        region((3.1, -0.75, 8.3), (1.1, 0.42, 1.2), (0.0, 0.22, 0.10), s),
        region((4.0, -2.2, 8.0), (1.3, 0.9, 1.8), (0.02, 0.18, 0.10), s),
    )


def _pucker() -> Field:
    def field(p: np.ndarray) -> np.ndarray:
        weight = np.exp(-0.5 * (((p - (0, -6.9, 9.9)) / (2.1, 1.25, 2.0)) ** 2).sum(-1))
        return weight[..., None] * np.stack([-0.42 * p[..., 0], 0.05 * (-6.9 - p[..., 1]), 0.55 + 0 * weight], -1)

    return field


def _wide() -> Field:
    return _sum(
        region((2.5, -6.95, 9.3), (1.0, 0.9, 2.0), (0.55, 0.0, -0.40)),
        region((3.9, -6.6, 8.3), (1.0, 1.4, 2.0), (0.14, 0.0, 0.02)),
    )


PUSHES: dict[str, Field] = {
    **{f"brow_{where}_{name}": _brow(where, s)
       for where in ("inner_up", "outer_up", "down") for name, s in (("left", 1.0), ("right", -1.0))},
    "smile_left": _smile(1.0), "smile_right": _smile(-1.0),
    "frown_left": _frown(1.0), "frown_right": _frown(-1.0),
    "sneer_left": _sneer(1.0), "sneer_right": _sneer(-1.0),
    "pucker": _pucker(),
    "mouth_wide": _wide(),
    "upper_lip_up": region((0, -6.3, 10.4), (1.5, 0.75, 1.8), (0, 0.42, 0.06), lip="upper"),
    "lower_lip_down": region((0, -7.5, 10.2), (1.5, 0.75, 1.8), (0, -0.50, 0.06), lip="lower"),
    "lips_in": _sum(region((0, -6.4, 10.4), (1.7, 0.42, 1.2), (0, -0.20, -0.26), lip="upper"),
                    region((0, -7.35, 10.2), (1.7, 0.48, 1.2), (0, 0.22, -0.28), lip="lower")),
    "cheek_puff": _sum(region((4.0, -6.2, 7.8), (1.4, 1.4, 2.2), (0.45, 0.0, 0.45)),
                       region((0, -5.9, 10.2), (1.3, 0.5, 1.2), (0, 0, 0.15))),
    "mouth_side": lambda p: np.exp(-0.5 * (((p - (0, -6.9, 9.9)) / (2.6, 1.6, 2.4)) ** 2).sum(-1))[..., None]
    * np.array([0.55, 0.0, -0.05]),
}  # fmt: skip
SIGNED = ("mouth_side", "jaw_side", "jaw_forward")  # actions with an opposite; the others start at 0


def expression_basis(mesh: HeadMesh, jaw_weight: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Offsets (E, V, 3) cm of all expressions at code 1, and their names.

    Args:
        mesh: the neutral head.
        jaw_weight: (V,) share of the jaw joint, which also carries the jaw's slides.
    """
    template = mesh.template
    offsets: dict[str, np.ndarray] = {}
    for i, side in enumerate(("left", "right")):
        offsets[f"blink_{side}"] = _lid_offset(mesh, i, 0.0)
    for i, side in enumerate(("left", "right")):
        offsets[f"eye_wide_{side}"] = _lid_offset(mesh, i, 1.32)
    for i, side in enumerate(("left", "right")):
        offsets[f"squint_{side}"] = _push(mesh, _squint(1.0 - 2.0 * i)) + 0.30 * offsets[f"blink_{side}"]
    offsets |= {name: _push(mesh, field) for name, field in PUSHES.items()}
    offsets["jaw_side"] = jaw_weight[:, None] * np.array([0.70, 0.0, -0.04])
    offsets["jaw_forward"] = jaw_weight[:, None] * np.array([0.0, 0.02, 0.55])
    assert all(offset.shape == template.shape for offset in offsets.values())
    return np.stack(list(offsets.values())), list(offsets)


def _push(mesh: HeadMesh, field: Field) -> np.ndarray:
    """A push of the skin; teeth, tongue, eyeballs and ears stay."""
    return field(mesh.template) * (mesh.piece == PIECES.index("skin"))[:, None]


def _lid_offset(mesh: HeadMesh, eye: int, aperture: float) -> np.ndarray:
    lids_open = (aperture, 1.0) if eye == 0 else (1.0, aperture)
    offset = np.zeros_like(mesh.template)
    moved = skin_vertices(mesh.skin, lids_open)
    offset[: len(moved)] = moved - mesh.template[: len(moved)]
    return offset
