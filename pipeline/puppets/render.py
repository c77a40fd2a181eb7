"""Pictures of an actor: visibility, colour, light and shade, background.

The project's rasteriser says which triangle every pixel sees. Shading works on the covered pixels alone, one part of
the actor at a time (`pipeline.puppets.light`). All values of a pixel lie in planes, since gathering along a plane is
several times faster than gathering rows; a finished pixel is one 32-bit word of red, green, blue and part.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model.render.raster import rasterize
from pipeline.puppets.appearance import PART, PARTS
from pipeline.puppets.backdrop import lay_backdrop
from pipeline.puppets.exact.arithmetic import turned
from pipeline.puppets.light import Lamps
from pipeline.puppets.scene import Actor, Studio
from pipeline.puppets.shadows import find_shadows

IDENTITY_MAP = np.array([1, 0, 0, 0, 1, 0], np.float32)


@dataclass(frozen=True)
class Picture:
    """One rendered frame.

    Attributes:
        image: (H, W, 3) uint8 sRGB.
        label: (H, W) uint8 index into `appearance.PARTS`; foreground is label > 0.
        albedo: (H, W, 3) uint8 sRGB without light, background 0; None unless asked for.
    """

    image: np.ndarray
    label: np.ndarray
    albedo: np.ndarray | None


CHUNK = 16384  # covered pixels shaded at once: their values stay in the cache


class Camera:
    """Films actors with the head's camera.

    Args:
        studio: where the actors were dressed.
    """

    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self._laid: _Laid | None = None

    def film(
        self,
        actor: Actor,
        shape: Tensor,
        expression: Tensor,
        pose: Tensor,
        camera: Tensor,
        size_hw: tuple[int, int],
        frame_map: np.ndarray = IDENTITY_MAP,
        backdrop_map: np.ndarray | None = None,
        supersample: int = 1,
        with_albedo: bool = False,
    ) -> list[Picture]:
        """Render B frames of one actor.

        Args:
            actor: from `Studio.dress`.
            shape: (B, S) identity codes; need not be the actor's own.
            expression: (B, E).
            pose: (B, 3J).
            camera: (B, C) camera of the head in the tracker's ndc.
            size_hw: height and width of the frames.
            frame_map: (6,) or (B, 6) row-major 2x3 map from the tracker's ndc to the frame's ndc.
            backdrop_map: the same for the background; that of the head if None.
            supersample: pixels rendered per pixel and axis, averaged.
            with_albedo: return the colours without light, too.

        Returns:
            B pictures.
        """
        count = len(shape)
        maps = np.broadcast_to(np.asarray(frame_map, np.float32).reshape(-1, 6), (count, 6))
        behind = maps if backdrop_map is None else np.broadcast_to(np.asarray(backdrop_map).reshape(-1, 6), (count, 6))
        verts, normals, along = self.studio.pose(actor, shape, expression, pose)
        placed = self.studio.head.project(verts.transpose(1, 2), camera)
        cm = camera[:, 0]
        to_frame = maps.reshape(-1, 2, 3)
        flat = turned(to_frame[:, :, :2], placed[..., :2].transpose(1, 2).contiguous().numpy()) + to_frame[:, :, 2:]
        # depth in cm; planes, for the rasteriser takes them without another copy
        planes = torch.cat([torch.from_numpy(flat), (placed[..., 2] / cm[:, None])[:, None]], 1)
        wide = (size_hw[0] * supersample, size_hw[1] * supersample)
        pictures = []
        for i in range(count):
            px_per_cm = float(cm[i] * np.abs(maps[i, 4]) * 0.5 * wide[0])
            vertices = (planes[i], normals[i], along[i])
            laid = self._behind(actor, behind[i], size_hw)
            pictures.append(_paint(actor, vertices, wide, px_per_cm, laid, supersample, with_albedo))
        return pictures

    def _behind(self, actor: Actor, frame_map: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
        """Background (H, W, 3) uint8 of a frame; the last one is kept, since a clip's frames share theirs."""
        laid = self._laid
        if (
            laid is None
            or laid.backdrop is not actor.backdrop
            or laid.image.shape[:2] != size_hw
            or not np.array_equal(laid.frame_map, frame_map)
        ):
            image = (lay_backdrop(actor.backdrop, frame_map, size_hw) * 255 + 0.5).astype(np.uint8)
            laid = self._laid = _Laid(actor.backdrop, frame_map.copy(), image)
        return laid.image


@dataclass(frozen=True)
class _Laid:
    """A backdrop as frames of one map and size see it."""

    backdrop: np.ndarray
    frame_map: np.ndarray
    image: np.ndarray


def _paint(
    actor: Actor, vertices: tuple[Tensor, Tensor, Tensor], size_hw: tuple[int, int], px_per_cm: float,
    backdrop: np.ndarray, supersample: int, with_albedo: bool,
) -> Picture:  # fmt: skip
    """Render one frame from placed vertices, their normals and strand directions, each (3, N)."""
    import cv2

    fragments = rasterize(vertices[0].t()[None], actor.triangles, size_hw)
    triangles = fragments.triangle.view(-1).numpy()
    covered = np.flatnonzero(triangles >= 0)
    blank = np.zeros(size_hw, np.uint8)
    lit = cv2.merge([blank] * 4) if supersample > 1 else cv2.merge([*cv2.split(backdrop), blank])
    plain = cv2.merge([blank] * 4) if with_albedo else None
    if len(covered):
        lamps = Lamps.of(actor.person.look)
        shadows = find_shadows(fragments.depth[0].numpy(), lamps.direction.tolist(), px_per_cm)
        frame = [plane.reshape(-1) for plane in (*fragments.barycentric[0].numpy().transpose(2, 0, 1), *shadows)]
        normals, along = (values.numpy() for values in vertices[1:])
        part_of = _take(actor.part.numpy(), _take(triangles, covered))
        for part in range(len(PARTS)):
            own = _take(covered, np.flatnonzero(part_of == part))
            for where in (own[first : first + CHUNK] for first in range(0, len(own), CHUNK)):
                triangle = _take(triangles, where)
                *weights, openness, direct = (_take(plane, where) for plane in frame)
                corners = [_take(corner, triangle) for corner in actor.corners.numpy()]
                paint, painted = _surface(actor, triangle, weights, part)
                strands = _blend(along, corners, weights) if part == PART["hair"] else None
                surface = (_blend(normals, corners, weights), strands, openness, direct)
                _words(lit)[where] = _lit(lamps, paint, part, painted, *surface)
                if plain is not None:
                    _words(plain)[where] = _words(paint)
    image, label = cv2.cvtColor(lit, cv2.COLOR_RGBA2RGB), cv2.extractChannel(lit, 3)
    albedo = cv2.cvtColor(plain, cv2.COLOR_RGBA2RGB) if plain is not None else None
    if supersample == 1:
        return Picture(_smooth_edges(image, label), label, albedo)
    return _shrunk(image, label, albedo, backdrop, supersample)


def _words(pixels: np.ndarray) -> np.ndarray:
    """See pixels (..., 4) uint8 as flat 32-bit words."""
    return pixels.view(np.int32).reshape(-1)


def _take(plane: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Gather from a plane; "clip" spares the check of an index that is known to be inside."""
    return plane.take(index, mode="clip")


def _shrunk(
    lit: np.ndarray, label: np.ndarray, albedo: np.ndarray | None, backdrop: np.ndarray, supersample: int
) -> Picture:
    """Average a supersampled frame and lay it over the background."""
    import cv2

    size_hw = label.shape
    size = (size_hw[1] // supersample, size_hw[0] // supersample)
    cover = cv2.resize((label > 0).astype(np.float32), size, interpolation=cv2.INTER_AREA)[..., None]
    mean = cv2.resize(lit, size, interpolation=cv2.INTER_AREA)
    image = (mean + backdrop * (1 - cover) + 0.5).clip(0, 255).astype(np.uint8)
    middle = slice(supersample // 2, None, supersample)
    small = None if albedo is None else cv2.resize(albedo, size, interpolation=cv2.INTER_AREA)
    return Picture(image, label[middle, middle], small)


def _mix(
    planes: Sequence[np.ndarray], corners: Sequence[np.ndarray], weights: Sequence[np.ndarray], out: np.ndarray
) -> None:
    """Interpolate over n pixels: the sum over three corners of a plane's values there, times their weights."""
    for number, (plane, corner, weight) in enumerate(zip(planes, corners, weights, strict=True)):
        value = _take(plane, corner)
        if number == 0:
            np.multiply(value, weight, out=out)
        else:
            value *= weight
            out += value


def _blend(values: np.ndarray, corners: Sequence[np.ndarray], weights: Sequence[np.ndarray]) -> np.ndarray:
    """Interpolate vertex vectors (3, N) over n pixels and normalise: (3, n)."""
    mixed = np.empty((3, len(weights[0])), np.float32)
    for plane, out in zip(values, mixed, strict=True):
        _mix([plane] * 3, corners, weights, out)
    length = np.square(mixed).sum(0)
    mixed /= np.sqrt(np.maximum(length, 1e-12, out=length), out=length)
    return mixed


def _surface(
    actor: Actor, triangle: np.ndarray, weights: Sequence[np.ndarray], part: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Look n pixels of one part up in the texture.

    Returns:
        Colours (1, n, 4) uint8 sRGB, the fourth channel being 0, and the parts (n,) that are painted on skin there, 0
        where it is bare; None for other parts.
    """
    import cv2

    uv = np.empty((2, 1, len(triangle)), np.float32)
    for planes, out in zip(actor.uv.numpy().transpose(1, 0, 2), uv, strict=True):
        _mix(planes, [triangle] * 3, weights, out[0])
    uv *= len(actor.texture.label)
    uv -= 0.5
    u, v = uv
    paint = cv2.remap(actor.texture.albedo, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    if part != PART["skin"]:
        return paint, None
    return paint, cv2.remap(actor.texture.label, u, v, cv2.INTER_NEAREST, borderMode=cv2.BORDER_WRAP)[0]


def _lit(
    lamps: Lamps, paint: np.ndarray, part: int, painted: np.ndarray | None, normal: np.ndarray,
    strands: np.ndarray | None, openness: np.ndarray, direct: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Light n pixels of a part: (n,) words of colour and part; what is painted on skin answers in its own way."""
    import cv2

    planes = np.concatenate(cv2.split(paint)[:3])
    colours = lamps.light(planes, part, normal, strands, openness, direct)
    words = _words(cv2.merge([*colours, np.full(len(openness), part, np.uint8)]))
    for other in () if painted is None else np.unique(painted[painted > 0]):
        at = np.flatnonzero(painted == other)
        words[at] = _lit(lamps, paint[:, at], other, None, normal[:, at], None, openness[at], direct[at])
    return words


def _smooth_edges(image: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Soften the staircase along the borders of parts."""
    import cv2

    edge = cv2.morphologyEx(label, cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8))
    return cv2.copyTo(cv2.blur(image, (3, 3)), edge, image)
