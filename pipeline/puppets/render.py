"""Pictures of an actor: visibility, colour, light and shade, background.

The project's rasteriser says which triangle every pixel sees. Shading works on the covered pixels alone, in linear
light with a gamma of 2: wrapped diffuse light (red comes round the terminator of skin), ambient light, highlights of
skin, eyes and strands of hair, and shadows found in the depth map.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

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
        albedo: (H, W, 3) uint8 sRGB without light, background 0; None unless asked for.
    """

    image: np.ndarray
    label: np.ndarray
    albedo: np.ndarray | None


CHUNK = 32768  # covered pixels shaded at once: their values stay in the cache


def _table(values: dict[str, float]) -> Tensor:
    return torch.tensor([values.get(name, 0.0) for name in PARTS])


_WRAP = _table(
    {"skin": 0.42, "ears": 0.5, "neck": 0.42, "lips": 0.4, "brows": 0.4, "hair": 0.3, "beard": 0.3, "clothes": 0.15}
)
_WRAP_OF_CHANNEL = (1.0, 0.58, 0.44)  # light goes farthest under the skin in red
_GLOSS = _table({"skin": 0.055, "ears": 0.04, "neck": 0.03, "lips": 0.10, "brows": 0.02, "mouth": 0.10, "glasses": 0.3})
_POLISH = _table({"eyes": 1.2, "lips": 0.10, "glasses": 0.8, "mouth": 0.25, "skin": 0.02})
_HAIR_SHINE, _HAIR_COLOUR = 0.025, 0.45


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
            vertices = (placed[i], normals[i], along[i])
            pictures.append(_paint(actor, vertices, wide, px_per_cm, laid, supersample, with_albedo))
        return pictures


def _quantised(image: np.ndarray) -> np.ndarray:
    return (image * 255 + 0.5).astype(np.uint8)


def _paint(
    actor: Actor, vertices: tuple[Tensor, Tensor, Tensor], size_hw: tuple[int, int], px_per_cm: float,
    backdrop: np.ndarray, supersample: int, with_albedo: bool,
) -> Picture:  # fmt: skip
    """Render one frame from placed vertices, their normals and strand directions, each (N, 3)."""
    verts, normals, along = vertices
    fragments = rasterize(verts[None], actor.triangles, size_hw)
    ids = fragments.triangle.view(-1)
    pixel = (ids >= 0).nonzero()[:, 0]
    count = size_hw[0] * size_hw[1]
    label = np.zeros(count, np.uint8)
    albedo = np.zeros((count, 3), np.uint8) if with_albedo else None
    lit = np.zeros((count, 3), np.uint8) if supersample > 1 else backdrop.reshape(-1, 3).copy()
    if len(pixel):
        lamps = _Lamps.of(actor.person.look)
        shadows = _shadows(fragments.depth[0].numpy(), lamps, px_per_cm)
        openness, direct = (torch.from_numpy(share).view(-1) for share in shadows)
        weights = fragments.barycentric.view(-1, 3)
        for chosen in pixel.split(CHUNK):
            triangle, weight = ids.index_select(0, chosen), weights.index_select(0, chosen)
            part, paint = _surface(actor, triangle, weight)
            corners = actor.triangles.index_select(0, triangle)
            hairs = (part == PART["hair"]).nonzero()[:, 0]
            strands = _blend(along, corners[hairs], weight[hairs])
            where = chosen.numpy()
            lit[where] = lamps.light(
                paint, part, _blend(normals, corners, weight), hairs, strands, openness[chosen], direct[chosen]
            )
            label[where] = part.numpy()
            if with_albedo:
                albedo[where] = paint
    lit, label = lit.reshape(*size_hw, 3), label.reshape(size_hw)
    albedo = albedo.reshape(*size_hw, 3) if with_albedo else None
    if supersample == 1:
        return Picture(_smooth_edges(lit, label), label, albedo)
    return _shrunk(lit, label, albedo, backdrop, supersample)


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


def _blend(values: Tensor, corners: Tensor, weights: Tensor) -> Tensor:
    """Interpolate (N, 3) vertex vectors over pixels and normalise: (3, n)."""
    mixed = F.embedding_bag(corners, values, mode="sum", per_sample_weights=weights).t().contiguous()
    return mixed * mixed.square().sum(0).clamp_min(1e-12).rsqrt()


def _surface(actor: Actor, triangle: Tensor, weights: Tensor) -> tuple[Tensor, np.ndarray]:
    """Look the texture up: part (n,) and sRGB colour (n, 3) uint8 of covered pixels."""
    import cv2

    size, count, columns = actor.texture.albedo.shape[0], len(triangle), 128
    corners = actor.uv.view(-1, 6).index_select(0, triangle)
    uv = sum(corners[:, 2 * k : 2 * k + 2] * weights[:, k : k + 1] for k in range(3))
    grid = np.zeros((-(-count // columns) * columns, 2), np.float32)
    grid[:count] = uv.numpy()
    grid = grid.reshape(-1, columns, 2) * size - 0.5
    flags = {"borderMode": cv2.BORDER_WRAP}
    paint = cv2.remap(actor.texture.albedo, grid, None, cv2.INTER_LINEAR, **flags).reshape(-1, 3)[:count]
    painted = cv2.remap(actor.texture.label, grid, None, cv2.INTER_NEAREST, **flags).reshape(-1)[:count]
    part = actor.part.index_select(0, triangle)
    painted = torch.from_numpy(painted).long()
    return torch.where((part == PART["skin"]) & (painted > 0), painted, part), paint


def _shadows(depth: np.ndarray, lamps: "_Lamps", px_per_cm: float) -> tuple[np.ndarray, np.ndarray]:
    """Openness to ambient light and to the lamp (H, W) in [0, 1], from the depth map in cm (0 = background).

    Found at half the resolution: shadows are soft.
    """
    import cv2

    height, width = depth.shape
    half = np.ascontiguousarray(depth[::2, ::2])
    half = np.where(half == 0, half.max() + 4.0, half).astype(np.float32)
    px_per_cm *= 0.5
    occluded = np.zeros_like(half)
    for radius_cm, strength in ((0.45, 0.55), (1.6, 0.30)):
        side = max(3, int(radius_cm * px_per_cm) * 2 + 1)
        occluded += strength * np.clip((half - cv2.blur(half, (side, side))) / radius_cm, 0, 1)
    reach = int(np.ceil(5.0 * px_per_cm)) + 1
    padded = cv2.copyMakeBorder(half, reach, reach, reach, reach, cv2.BORDER_REPLICATE)
    x, y, z = lamps.direction.tolist()
    flat = max(float(np.hypot(x, y)), 1e-3)
    blocked = np.zeros_like(half)
    for step_cm in (0.5, 1.1, 2.0, 3.3, 5.0):
        dx, dy = (reach + round(step_cm * px_per_cm * s / flat) for s in (x, -y))
        towards_lamp = padded[dy : dy + half.shape[0], dx : dx + half.shape[1]]
        higher = (half - towards_lamp - z / flat * step_cm) * (1 / (0.25 + 0.25 * step_cm))
        np.maximum(blocked, higher, out=blocked)
    side = max(3, int(0.35 * px_per_cm) * 2 + 1)
    blocked = cv2.blur(np.minimum(blocked, 1.0), (side, side))
    return tuple(cv2.resize(1.0 - m, (width, height)) for m in (occluded, 0.85 * blocked))


@dataclass(frozen=True)
class _Lamps:
    """The light of a look: directions (3,) towards the lamp and of its highlights, colours (3, 1)."""

    direction: Tensor
    half: Tensor
    half_eye: Tensor
    key: Tensor
    ambient: Tensor
    rim: float

    @staticmethod
    def of(look: Look) -> "_Lamps":
        direction = torch.from_numpy(look.light_direction).float()
        viewer = torch.tensor([0.0, 0.0, 1.0])
        low = direction * torch.tensor([0.8, 0.35, 1.0])  # a lower lamp for eyes, or lids would hide its reflection
        half, half_eye = (F.normalize(d + viewer, dim=0) for d in (direction, low))
        key, ambient = (torch.from_numpy(c).float()[:, None] for c in (look.light_colour, look.ambient_colour))
        return _Lamps(direction, half, half_eye, key, ambient, look.rim)

    def light(
        self, paint: np.ndarray, part: Tensor, normal: Tensor, hairs: Tensor, strands: Tensor, openness: Tensor,
        direct: Tensor,
    ) -> np.ndarray:  # fmt: skip
        """Light n covered pixels: (n, 3) uint8 sRGB.

        Args:
            paint: (n, 3) uint8 colours.
            part: (n,) parts.
            normal: (3, n) unit normals.
            hairs: (h,) which of the pixels are hair.
            strands: (3, h) unit directions of their strands.
            openness: (n,) share of the ambient light that arrives.
            direct: (n,) share of the lamp's light that arrives.
        """
        albedo = torch.from_numpy(paint).t().float().mul_(1 / 255.0).square_()
        facing, shine, glint = torch.stack([self.direction, self.half, self.half_eye]) @ normal
        spread, gloss, polish = (table.index_select(0, part) for table in (_WRAP, _GLOSS, _POLISH))
        sky = (0.72 + 0.28 * normal[1]) * openness
        total = torch.empty_like(albedo)
        for channel, share in enumerate(_WRAP_OF_CHANNEL):
            wrap = share * spread
            diffuse = ((facing + wrap) / (1.0 + wrap)).clamp_min_(0) * direct
            total[channel] = 1.3 * self.key[channel] * diffuse + self.ambient[channel] * sky
        total[0] += 0.25 * self.ambient[0] * openness * (1 - openness)  # creases glow red
        total *= albedo
        highlight = gloss * _power(shine.clamp_min(0), 4) + polish * _power(glint.clamp_min(0), 7)
        total += self.key * (highlight * direct)
        if self.rim > 0.05:
            edge = (1.0 - normal[2]).clamp(0, 1).square_()
            side = (0.5 - 0.5 * torch.sign(self.direction[0]) * normal[0]).clamp_min_(0)
            total += (0.5 * albedo + 0.04) * (self.rim * edge * side * openness)
        if len(hairs):
            seen = direct[hairs] * openness[hairs]
            total[:, hairs] += self.key * self._hair_shine(strands, albedo[:, hairs]) * seen
        image = (total / (0.45 * total + 0.72)).clamp_(0, 1).sqrt_()  # soft shoulder: pale skin keeps its shape
        return image.mul_(255).add_(0.5).to(torch.uint8).t().contiguous().numpy()

    def _hair_shine(self, direction: Tensor, albedo: Tensor) -> Tensor:
        """Kajiya and Kay's highlight of a cylinder, narrow in white and wide in the hair's own colour."""
        across = (1.0 - (direction * self.half[:, None]).sum(0).square()).clamp(0, 1)
        return _HAIR_SHINE * _power(across, 6) + _HAIR_COLOUR * albedo * _power(across, 3)


def _power(value: Tensor, doublings: int) -> Tensor:
    for _ in range(doublings):
        value = value * value
    return value


def _smooth_edges(image: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Soften the staircase along the borders of parts."""
    import cv2

    edge = cv2.morphologyEx(label, cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8))
    return cv2.copyTo(cv2.blur(image, (3, 3)), edge, image)
