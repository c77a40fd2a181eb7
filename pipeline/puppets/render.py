"""Pictures of an actor: visibility, colour, light and shade, background.

The project's rasteriser says which triangle every pixel sees. Shading works on the covered pixels alone, in linear
light with a gamma of 2: wrapped diffuse light (red comes round the terminator of skin), ambient light, highlights of
skin, eyes and strands of hair, and shadows found in the depth map.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model.coords import apply_affine
from model.raster import rasterize
from pipeline.puppets.appearance import PART, PARTS
from pipeline.puppets.backdrop import lay_backdrop
from pipeline.puppets.people import Look
from pipeline.puppets.scene import Actor, Studio

IDENTITY_MAP = np.array([1, 0, 0, 0, 1, 0], np.float32)


@dataclass(frozen=True)
class Picture:
    """One rendered frame.

    Attributes:
        image: (H, W, 3) uint8 sRGB.
        label: (H, W) uint8 index into `appearance.PARTS`; foreground is label > 0.
        albedo: (H, W, 3) uint8 sRGB without light, background 0.
    """

    image: np.ndarray
    label: np.ndarray
    albedo: np.ndarray


def _table(values: dict[str, float], default: float) -> Tensor:
    return torch.tensor([values.get(name, default) for name in PARTS])


_WRAP = torch.stack([
    _table({"skin": 0.42, "ears": 0.5, "neck": 0.42, "lips": 0.4, "hair": 0.3, "beard": 0.3}, 0.15),
    _table({"skin": 0.24, "ears": 0.25, "neck": 0.24, "lips": 0.2, "hair": 0.3, "beard": 0.3}, 0.15),
    _table({"skin": 0.18, "ears": 0.18, "neck": 0.18, "lips": 0.15, "hair": 0.3, "beard": 0.3}, 0.15),
])  # fmt: skip
_GLOSS = _table({"skin": 0.055, "ears": 0.04, "neck": 0.03, "lips": 0.10, "brows": 0.02, "mouth": 0.10, "glasses": 0.3}, 0.0)
_POLISH = _table({"eyes": 1.6, "lips": 0.10, "glasses": 0.8, "mouth": 0.25, "skin": 0.02}, 0.0)


class Camera:
    """Films actors with the head's camera.

    Args:
        studio: where the actors were dressed.
    """

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

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

        Returns:
            B pictures.
        """
        count = len(shape)
        maps = np.broadcast_to(np.asarray(frame_map, np.float32).reshape(-1, 6), (count, 6))
        behind = maps if backdrop_map is None else np.broadcast_to(np.asarray(backdrop_map).reshape(-1, 6), (count, 6))
        verts, normals, along = self.studio.pose(actor, shape, expression, pose)
        placed = self.studio.head.project(verts, camera)
        cm = camera[:, 0]
        flat = apply_affine(torch.from_numpy(maps.copy()), placed[..., :2])
        placed = torch.cat([flat, placed[..., 2:] / cm[:, None, None]], -1)  # depth in cm
        wide = (size_hw[0] * supersample, size_hw[1] * supersample)
        pictures, laid = [], None
        for i in range(count):
            if laid is None or not np.array_equal(behind[i], behind[i - 1]):
                laid = _quantised(lay_backdrop(actor.backdrop, behind[i], size_hw))
            px_per_cm = float(cm[i] * np.abs(maps[i, 4]) * 0.5 * wide[0])
            pictures.append(_paint(actor, placed[i], normals[i], along[i], wide, px_per_cm, laid, supersample))
        return pictures


def _quantised(image: np.ndarray) -> np.ndarray:
    return (image * 255 + 0.5).astype(np.uint8)


def _paint(
    actor: Actor, verts: Tensor, normals: Tensor, along: Tensor, size_hw: tuple[int, int], px_per_cm: float,
    backdrop: np.ndarray, supersample: int,
) -> Picture:  # fmt: skip
    import cv2

    fragments = rasterize(verts[None], actor.triangles, size_hw)
    ids = fragments.triangle.view(-1)
    pixel = (ids >= 0).nonzero()[:, 0]
    label = np.zeros(size_hw, np.uint8)
    colour = np.zeros((*size_hw, 3), np.uint8)
    albedo = np.zeros((*size_hw, 3), np.uint8)
    if len(pixel):
        triangle = ids[pixel]
        weights = fragments.barycentric.view(-1, 3)[pixel]
        depth = fragments.depth[0].numpy()
        part, paint = _surface(actor, triangle, weights)
        corners = actor.triangles[triangle]
        normal = _blend(normals, corners, weights)
        strands = _strand_directions(along, corners, weights, part)
        shade = _shadows(depth, pixel.numpy(), actor.person.look, px_per_cm)
        lit = _light(paint, part, normal, strands, actor.person.look, *shade)
        where = pixel.numpy()
        label.reshape(-1)[where] = part.numpy()
        colour.reshape(-1, 3)[where] = lit
        albedo.reshape(-1, 3)[where] = paint
    if supersample == 1:
        return Picture(_smooth_edges(np.where(label[..., None] > 0, colour, backdrop), label), label, albedo)
    size = (size_hw[1] // supersample, size_hw[0] // supersample)
    cover = cv2.resize((label > 0).astype(np.float32), size, interpolation=cv2.INTER_AREA)[..., None]
    mean = cv2.resize(colour, size, interpolation=cv2.INTER_AREA)
    image = (mean + backdrop * (1 - cover) + 0.5).clip(0, 255).astype(np.uint8)
    middle = slice(supersample // 2, None, supersample)
    return Picture(image, label[middle, middle], cv2.resize(albedo, size, interpolation=cv2.INTER_AREA))


def _blend(values: Tensor, corners: Tensor, weights: Tensor) -> Tensor:
    """Interpolate (N, 3) vertex vectors over pixels and normalise: (3, n)."""
    mixed = sum(values.index_select(0, corners[:, k]) * weights[:, k : k + 1] for k in range(3))
    return torch.nn.functional.normalize(mixed, dim=1).t().contiguous()


def _surface(actor: Actor, triangle: Tensor, weights: Tensor) -> tuple[Tensor, np.ndarray]:
    """Look the texture up: part (n,) and sRGB colour (n, 3) uint8 of covered pixels."""
    import cv2

    size = actor.texture.albedo.shape[0]
    uv = (actor.uv[triangle] * weights[..., None]).sum(1)
    texel = (uv * size - 0.5).numpy()
    columns = 1024
    rows = -(-len(texel) // columns)
    grid = np.zeros((rows * columns, 2), np.float32)
    grid[: len(texel)] = texel
    grid = grid.reshape(rows, columns, 2)
    flags = {"borderMode": cv2.BORDER_WRAP}
    paint = cv2.remap(actor.texture.albedo, grid, None, cv2.INTER_LINEAR, **flags).reshape(-1, 3)[: len(texel)]
    painted = cv2.remap(actor.texture.label, grid, None, cv2.INTER_NEAREST, **flags).reshape(-1)[: len(texel)]
    part = actor.part[triangle]
    painted = torch.from_numpy(painted).long()
    return torch.where((part == PART["skin"]) & (painted > 0), painted, part), paint


def _strand_directions(along: Tensor, corners: Tensor, weights: Tensor, part: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels of hair (indices) and the direction of their strands (3, h)."""
    which = (part == PART["hair"]).nonzero()[:, 0]
    return which, _blend(along, corners[which], weights[which])


def _shadows(depth: np.ndarray, where: np.ndarray, look: Look, px_per_cm: float) -> tuple[Tensor, Tensor]:
    """Ambient openness and direct light (n,) of covered pixels, from the depth map (cm, 0 = background)."""
    import cv2

    covered = np.zeros(depth.shape, bool)
    covered.reshape(-1)[where] = True
    deep = np.where(covered, depth, depth.reshape(-1)[where].max() + 4.0).astype(np.float32)
    occluded = np.zeros_like(deep)
    for radius_cm, strength in ((0.45, 0.55), (1.6, 0.30)):
        side = max(3, int(radius_cm * px_per_cm) * 2 + 1)
        occluded += strength * np.clip((deep - cv2.blur(deep, (side, side))) / radius_cm, 0, 1)
    light = look.light_direction
    flat = max(np.hypot(light[0], light[1]), 1e-3)
    rise = light[2] / flat
    blocked = np.zeros_like(deep)
    for step_cm in (0.5, 1.1, 2.0, 3.3, 5.0):
        dx, dy = (int(round(step_cm * px_per_cm * s / flat)) for s in (light[0], -light[1]))
        higher = deep - _shifted(deep, dx, dy) - rise * step_cm
        np.maximum(blocked, np.clip(higher / (0.25 + 0.25 * step_cm), 0, 1), out=blocked)
    side = max(3, int(0.35 * px_per_cm) * 2 + 1)
    blocked = cv2.blur(blocked, (side, side))
    return tuple(torch.from_numpy((1.0 - m.clip(0, 1)).reshape(-1)[where]) for m in (occluded, 0.85 * blocked))


def _shifted(image: np.ndarray, dx: int, dy: int) -> np.ndarray:
    """The image seen dx to the right and dy down, its border repeated."""
    height, width = image.shape
    rows = np.clip(np.arange(height) + dy, 0, height - 1)
    columns = np.clip(np.arange(width) + dx, 0, width - 1)
    return image[rows][:, columns]


def _light(
    paint: np.ndarray, part: Tensor, normal: Tensor, strands: tuple[Tensor, Tensor], look: Look, openness: Tensor,
    direct: Tensor,
) -> np.ndarray:  # fmt: skip
    """Light the covered pixels: (n, 3) uint8 sRGB."""
    colour = torch.from_numpy(paint).t().float() / 255.0
    albedo = colour * colour
    lamp = torch.from_numpy(look.light_direction).float()
    facing = (normal * lamp[:, None]).sum(0)
    wrap = _WRAP[:, part]
    diffuse = ((facing + wrap) / (1.0 + wrap)).clamp_min(0) * direct
    sky = 0.72 + 0.28 * normal[1]
    key, ambient = (torch.from_numpy(c).float()[:, None] for c in (look.light_colour, look.ambient_colour))
    open_colour = torch.stack([openness**0.7, openness, openness**1.1])
    total = albedo * (1.25 * key * diffuse + ambient * sky * open_colour)
    half = torch.nn.functional.normalize(lamp + torch.tensor([0.0, 0.0, 1.0]), dim=0)
    shine = (normal * half[:, None]).sum(0).clamp_min(0)
    low_lamp = torch.nn.functional.normalize(lamp * torch.tensor([0.8, 0.35, 1.0]) + torch.tensor([0.0, 0.0, 1.0]), dim=0)
    sharp = (normal * low_lamp[:, None]).sum(0).clamp_min(0)
    gloss = _GLOSS[part] * _power(shine, 4) + _POLISH[part] * _power(sharp, 7)
    edge = (1.0 - normal[2]).clamp(0, 1)
    rim = look.rim * edge * edge * (0.5 - 0.5 * torch.sign(lamp[0]) * normal[0]).clamp_min(0)
    total = total + key * (gloss * direct) + (0.5 * albedo + 0.04) * rim * openness
    which, direction = strands
    if len(which):
        total[:, which] += key * _hair_shine(direction, half, albedo[:, which], direct[which] * openness[which])
    image = total.clamp_(0, 1).sqrt_()
    return (image * 255 + 0.5).to(torch.uint8).t().contiguous().numpy()


def _hair_shine(direction: Tensor, half: Tensor, albedo: Tensor, seen: Tensor) -> Tensor:
    """Kajiya and Kay's highlight of a cylinder, narrow in white and wide in the hair's own colour."""
    across = 1.0 - (direction * half[:, None]).sum(0).square()
    across = across.clamp(0, 1)
    return (0.05 * _power(across, 6) + 0.9 * albedo * _power(across, 3)) * seen


def _power(value: Tensor, doublings: int) -> Tensor:
    for _ in range(doublings):
        value = value * value
    return value


def _smooth_edges(image: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Soften the staircase along the borders of parts."""
    import cv2

    edge = cv2.morphologyEx(label, cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8)) > 0
    soft = cv2.blur(image, (3, 3))
    out = image.copy()
    out[edge] = soft[edge]
    return out
