"""The colours of a puppet: one square texture a person, painted once, looked up by every pixel.

The texture is an atlas. Its upper part is the head's skin unrolled about the vertical axis (azimuth to the right,
height downwards, in the template's cm, so paint stays on the face whatever its shape and expression); below lie the
strands of the hair, two irises, the garment and plain swatches.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipeline.puppets.exact.arithmetic import exp
from pipeline.puppets.hair import above_hairline, azimuth_of
from pipeline.puppets.head_geometry import regions
from pipeline.puppets.people import Identity, Person
from pipeline.puppets.threads import over, paint_fabric, paint_strands

# name -> (left, top, right, bottom) as shares of the atlas
REGIONS = {
    "head": (0.0, 0.0, 1.0, 0.625),
    "hair": (0.0, 0.625, 0.5, 1.0),
    "eye_left": (0.5, 0.625, 0.6875, 0.8125),
    "eye_right": (0.6875, 0.625, 0.875, 0.8125),
    "garment": (0.5, 0.8125, 0.875, 1.0),
    "swatches": (0.875, 0.625, 1.0, 1.0),
}
SWATCHES = ("teeth", "tongue", "mouth", "glasses")
TOP_CM, BOTTOM_CM = 11.6, -21.0
EYE_SPAN_RAD = 1.9  # angle from the pupil to the border of an eye's region
IRIS_RAD, PUPIL_RAD = regions.IRIS_ANGLE_RAD, regions.PUPIL_ANGLE_RAD

PARTS = ("background", "skin", "ears", "neck", "brows", "eyes", "lips", "mouth", "hair", "beard", "glasses", "clothes")
PART = {name: number for number, name in enumerate(PARTS)}


@dataclass(frozen=True)
class Texture:
    """A person's atlas.

    Attributes:
        albedo: (A, A, 4) uint8 sRGB and an empty fourth channel, with which looking up takes half the time.
        label: (A, A) uint8, part painted on the skin there (brows, lips), else 0.
    """

    albedo: np.ndarray
    label: np.ndarray


def head_uv(template_points: np.ndarray) -> np.ndarray:
    """Atlas coordinates (..., 2) in [0, 1] of points (..., 3) of the template's skin."""
    u = azimuth_of(template_points) / (2 * np.pi) + 0.5
    v = (TOP_CM - template_points[..., 1]) / (TOP_CM - BOTTOM_CM) * REGIONS["head"][3]
    return np.stack([u, v], -1)


def region_uv(name: str, share: np.ndarray) -> np.ndarray:
    """Atlas coordinates of points (..., 2) given as shares of a region, kept off its border."""
    left, top, right, bottom = REGIONS[name]
    inset = 0.02 + 0.96 * np.clip(share, 0.0, 1.0)
    return np.stack([left + (right - left) * inset[..., 0], top + (bottom - top) * inset[..., 1]], -1)


def eye_uv(name: str, direction: np.ndarray) -> np.ndarray:
    """Atlas coordinates of unit directions (..., 3) from an eyeball's centre: distance = angle from the pupil."""
    angle = np.arccos(np.clip(direction[..., 2], -1, 1)) / EYE_SPAN_RAD
    flat = direction[..., :2] / np.maximum(np.linalg.norm(direction[..., :2], axis=-1, keepdims=True), 1e-6)
    return region_uv(name, 0.5 + 0.5 * flat * np.minimum(angle, 1.0)[..., None] * np.array([1.0, -1.0]))


def paint_person(person: Person, canvas: "Canvas") -> Texture:
    """Paint a person's atlas, of the canvas's size."""
    size = canvas.width
    colours = np.zeros((size, size, 3), np.float32)
    label = np.zeros((size, size), np.uint8)
    skin, parts = _paint_skin(person, canvas)
    iris = _iris(person.identity, size)
    for name, image in (
        ("head", skin),
        ("hair", paint_strands(person.look, size)),
        ("eye_left", iris),
        ("eye_right", iris),
        ("garment", paint_fabric(person.look, size)),
        ("swatches", _swatches(person, size)),
    ):
        left, top, right, bottom = (round(edge * size) for edge in REGIONS[name])
        colours[top:bottom, left:right] = image
    label[: len(parts)] = parts
    albedo = np.zeros((size, size, 4), np.uint8)
    albedo[..., :3] = np.clip(colours, 0, 1) * 255 + 0.5
    return Texture(albedo, label)


class Canvas:
    """The unrolled skin of a head: where every texel lies, and masks drawn there.

    Args:
        template: (V, 3) the mean head.
        skin: (F, 3) its triangles of skin without ears.
        landmarks: (68, 3) of the template.
        size: side of the atlas in pixels.
    """

    def __init__(self, template: np.ndarray, skin: np.ndarray, landmarks: np.ndarray, size: int) -> None:
        self.width, self.height = size, round(size * REGIONS["head"][3])
        self.landmarks = head_uv(landmarks) * size
        self.px_per_cm = size * REGIONS["head"][3] / (TOP_CM - BOTTOM_CM)
        x, y = np.meshgrid(np.arange(self.width) + 0.5, np.arange(self.height) + 0.5)
        self.x, self.y = x.astype(np.float32), y.astype(np.float32)
        self.azimuth = (self.x / size - 0.5) * 2 * np.pi
        self.level_cm = TOP_CM - self.y / self.px_per_cm
        self.points = self._unrolled(template, skin)
        self.lips = regions.lips(self.points).astype(np.float32)
        self.lashes = regions.lash_line(self.points).astype(np.float32)
        self.nostrils = regions.nostrils(self.points).astype(np.float32)

    def _unrolled(self, template: np.ndarray, skin: np.ndarray) -> np.ndarray:
        """Template coordinates (h, A, 3) of every texel, the outermost surface where several lie on one ray."""
        import torch

        from model.render.interpolate import interpolate
        from model.render.raster import rasterize

        corners = template[skin]
        uv = head_uv(corners) / np.array([1.0, REGIONS["head"][3]])
        uv[..., 0] -= np.round(uv[..., 0] - uv[:, :1, 0])
        copies = np.concatenate([uv + np.array([shift, 0.0]) for shift in (-1.0, 0.0, 1.0)])
        depth = -np.hypot(corners[..., 0], corners[..., 2] + 0.3)
        placed = np.concatenate([2 * copies - 1, np.tile(depth, (3, 1))[..., None]], -1).reshape(1, -1, 3)
        triangles = torch.arange(placed.shape[1]).view(-1, 3)
        fragments = rasterize(torch.from_numpy(placed), triangles, (self.height, self.width), cull_back=False)
        values = torch.from_numpy(np.tile(corners, (3, 1, 1)).reshape(-1, 3))
        return interpolate(fragments, values, triangles)[0].permute(1, 2, 0).numpy()

    def blob(self, centre: np.ndarray, radius_cm: tuple[float, float]) -> np.ndarray:
        """A soft spot of strength 1 at its centre."""
        dx = (self.x[0] - centre[0]) / (radius_cm[0] * self.px_per_cm)
        dy = (self.y[:, 0] - centre[1]) / (radius_cm[1] * self.px_per_cm)
        return exp(-dy * dy)[:, None] * exp(-dx * dx)

    @cached_property
    def full_beard(self) -> np.ndarray:
        """Where a full beard grows (h, A), 0 to 1."""
        return regions.beard(self.points)

    @cached_property
    def inside_hairline(self) -> np.ndarray:
        """Signed distance (h, A) in cm from the hairline, positive where hair grows."""
        return above_hairline(self.azimuth, self.level_cm)

    def _window(self, points: np.ndarray, margin: float) -> tuple[slice, slice, np.ndarray]:
        """Rows and columns of the canvas within a margin of points (n, 2), and the first pixel there."""
        low, high = np.floor(points.min(0) - margin), np.ceil(points.max(0) + margin) + 1
        size = (self.width, self.height)
        left, top = (int(edge) for edge in np.clip(low, 0, size))
        right, bottom = (int(edge) for edge in np.clip(high, 0, size))
        return slice(top, bottom), slice(left, right), np.array([left, top])

    def stroke(self, points: np.ndarray, width_cm: float, soft_cm: float) -> np.ndarray:
        """A line through points, of strength 1 however thin it is in pixels."""
        import cv2

        strength = np.zeros((self.height, self.width), np.float32)
        thickness = max(1, round(width_cm * self.px_per_cm))
        soft = max(soft_cm * self.px_per_cm, 0.3)
        rows, columns, corner = self._window(points, thickness + 4 * soft + 3)  # beyond it all is 0
        mask = np.zeros(strength[rows, columns].shape, np.uint8)
        if mask.size:
            line = np.round(points * 16).astype(np.int32) - 16 * corner.astype(np.int32)
            cv2.polylines(mask, [line], False, 255, thickness, cv2.LINE_AA, 4)
            thin = min(1.0, width_cm * self.px_per_cm)
            strength[rows, columns] = cv2.GaussianBlur(mask.astype(np.float32) / 255 * thin, (0, 0), soft)
        return strength

    def dot(self, mask: np.ndarray, at: np.ndarray, radius_cm: float, strength: float) -> None:
        """Draw a disc into a mask where it is stronger than what is there; fainter where smaller than a pixel."""
        import cv2

        radius = max(radius_cm * self.px_per_cm, 0.6)
        rows, columns, corner = self._window(np.asarray(at)[None], radius + 2)
        window = mask[rows, columns]
        if window.size:
            disc = np.zeros(window.shape, np.float32)
            centre = (int(at[0] * 16) - 16 * int(corner[0]), int(at[1] * 16) - 16 * int(corner[1]))
            cv2.circle(disc, centre, int(radius * 16), min(1.0, radius_cm * self.px_per_cm), -1, cv2.LINE_AA, 4)
            np.maximum(window, strength * disc, out=window)

    def hair(self, mask: np.ndarray, foot: np.ndarray, tip: np.ndarray, strength: float) -> None:
        """Draw one short hair into a mask."""
        import cv2

        start, end = (np.round(p * 16).astype(int).tolist() for p in (foot, tip))
        cv2.line(mask, start, end, strength, max(1, round(0.07 * self.px_per_cm)), cv2.LINE_AA, 4)

    def noise(self, rng: np.random.Generator, cell_cm: float) -> np.ndarray:
        """Smooth noise of unit strength with cells of a given size, closed around the head."""
        import cv2

        rows = max(2, int((TOP_CM - BOTTOM_CM) / cell_cm))
        coarse = rng.standard_normal((rows, rows * 2)).astype(np.float32)
        coarse[:, -1] = coarse[:, 0]
        return cv2.resize(coarse, (self.width, self.height), interpolation=cv2.INTER_LINEAR)


def _paint_skin(person: Person, view: Canvas) -> tuple[np.ndarray, np.ndarray]:
    """Skin, make-up, beard, brows and the scalp under the hair: (h, A, 3) colours and (h, A) labels."""
    rng = np.random.default_rng([person.identity.seed, 7])
    image = _complexion(rng, person.identity, view)
    image = _marks(rng, person.identity, view, image)
    label = np.zeros(image.shape[:2], np.uint8)
    lips = view.lips
    image = _beard(person, view, image, lips)
    tone = 0.03 * view.noise(rng, 0.5)[..., None]
    image = over(image, person.identity.lips, 0.85 * lips) + tone * lips[..., None]
    mouth = view.landmarks[[60, 61, 62, 63, 64]]
    image = over(image, person.identity.lips * 0.35, 0.7 * view.stroke(mouth, 0.09, 0.05))
    brows = _brow_mask(rng, person.identity, view)
    image = over(image, person.identity.natural_hair * 0.75, brows)
    image = _eye_lines(person.identity, view, image)
    label[lips > 0.5] = PART["lips"]
    label[brows > 0.35] = PART["brows"]
    return _scalp(person, view, image), label


def _complexion(rng: np.random.Generator, identity: Identity, view: Canvas) -> np.ndarray:
    points, skin = view.landmarks, identity.skin.astype(np.float32)
    image = np.broadcast_to(skin, (view.height, view.width, 3)).copy()
    mottle = 0.012 * view.noise(rng, 2.5) + 0.009 * view.noise(rng, 0.6) + 0.007 * view.noise(rng, 0.2)
    image += mottle[..., None] * np.array([1.0, 0.9, 0.8], np.float32)
    red = skin * np.array([1.02, 0.80, 0.80], np.float32)
    cheeks = [0.5 * (points[a] + points[b]) + np.array([0, 0.9 * view.px_per_cm]) for a, b in ((40, 3), (47, 13))]
    for centre in cheeks:
        image = over(image, red, (0.15 + 0.4 * identity.blush) * view.blob(centre, (2.2, 1.7)))
    image = over(image, red, 0.45 * view.blob(points[33], (1.5, 1.1)) + 0.2 * view.blob(points[8], (2.0, 1.3)))
    for first, last in ((36, 39), (42, 45)):
        below = points[first : last + 3].mean(0) + np.array([0, 0.9 * view.px_per_cm])
        tired = 0.2 + 0.25 * identity.age
        image = over(image, skin * np.array([0.8, 0.7, 0.75]), tired * view.blob(below, (1.5, 0.55)))
        above = points[first : last + 3].mean(0) - np.array([0, 0.75 * view.px_per_cm])
        image = over(image, skin * np.array([0.84, 0.74, 0.74]), 0.4 * view.blob(above, (1.7, 0.6)))
    return over(image, skin * 0.2, 0.8 * view.nostrils)


def _marks(rng: np.random.Generator, identity: Identity, view: Canvas, image: np.ndarray) -> np.ndarray:
    """Freckles, moles and the lines of age."""
    points, skin, cm = view.landmarks, identity.skin, view.px_per_cm
    centre = points[[40, 47, 30, 1, 15]].mean(0)
    spots = np.zeros(image.shape[:2], np.float32)
    for _ in range(int(220 * identity.freckles)):
        at = centre + rng.normal(0, (4.0, 2.2)) * cm
        strength = rng.uniform(0.2, 0.6)
        view.dot(spots, at, rng.uniform(0.04, 0.09), strength)
    image = over(image, skin * np.array([0.68, 0.52, 0.42]), spots)
    for _ in range(identity.moles):
        at = points[30] + rng.uniform((-6, -4), (6, 7)) * cm
        mole = np.zeros(image.shape[:2], np.float32)
        view.dot(mole, at, rng.uniform(0.05, 0.11), 0.85)
        image = over(image, skin * np.array([0.4, 0.3, 0.28]), mole)
    lines = np.zeros(image.shape[:2], np.float32)
    for level in (2.0, 2.9, 3.8):
        x = np.linspace(points[19, 0], points[24, 0], 12)
        y = points[[19, 24], 1].mean() - level * cm + 0.12 * cm * np.cos(np.linspace(0, 9, 12) + level)
        lines += 0.5 * view.stroke(np.stack([x, y], 1), 0.08, 0.08)
    for nose, corner in ((31, 48), (35, 54)):
        outwards = np.sign(points[corner, 0] - points[nose, 0])
        bend = np.array([[0.3, -0.1], [0.75, 0.6], [0.55, 1.9]]) * np.array([outwards, 1.0]) * cm
        middle = 0.5 * (points[nose] + points[corner])
        fold = np.stack([points[nose] + bend[0], middle + bend[1], points[corner] + 0.6 * bend[2]])
        lines += 0.9 * view.stroke(fold, 0.12, 0.14)
    return over(image, skin * np.array([0.62, 0.5, 0.48]), (0.08 + 0.5 * identity.age) * lines)


def _brow_mask(rng: np.random.Generator, identity: Identity, view: Canvas) -> np.ndarray:
    """Brows of short hairs along landmarks 17-21 and 22-26, slanting outwards."""
    mask = np.zeros((view.height, view.width), np.float32)
    for numbers, outwards in (((21, 20, 19, 18, 17), -1.0), ((22, 23, 24, 25, 26), 1.0)):
        curve = view.landmarks[list(numbers)].copy()
        curve[:, 1] -= identity.brow_arch * np.array([0, 0.25, 0.45, 0.3, 0]) * view.px_per_cm
        at = np.sort(rng.uniform(0, min(1.0, 0.93 * identity.brow_length), 70)) * 4
        along = np.stack([np.interp(at, range(5), curve[:, i]) for i in (0, 1)], 1)
        height = identity.brow_thickness * (0.46 - 0.27 * (at / 4) ** 2) * view.px_per_cm
        for point, size in zip(along, height, strict=True):
            foot = point + np.array([0.0, rng.uniform(-0.4, 0.75) * size])
            tip = foot + np.array([outwards * rng.uniform(0.3, 0.62) * view.px_per_cm, -rng.uniform(0.0, 0.7) * size])
            view.hair(mask, foot, tip, rng.uniform(0.5, 0.85))
        body = np.stack([along[::6, 0], along[::6, 1] + 0.15 * height[::6]], 1)
        mask = np.maximum(mask, 0.55 * view.stroke(body, 0.42 * identity.brow_thickness, 0.12))
    return mask


def _eye_lines(identity: Identity, view: Canvas, image: np.ndarray) -> np.ndarray:
    """Lashes along the upper lid, a softer line along the lower one, and the crease."""
    image = over(image, identity.natural_hair * 0.3, 0.9 * view.lashes)
    for upper, lower in (((36, 37, 38, 39), (36, 41, 40, 39)), ((42, 43, 44, 45), (42, 47, 46, 45))):
        lash = view.landmarks[list(upper)]
        crease = lash - np.array([0, 0.42 * view.px_per_cm])
        image = over(image, identity.skin * 0.55, 0.5 * view.stroke(crease, 0.10, 0.08))
        soft = view.landmarks[list(lower)]
        image = over(image, identity.skin * np.array([0.6, 0.42, 0.4]), 0.55 * view.stroke(soft, 0.08, 0.06))
    return image


def _beard(person: Person, view: Canvas, image: np.ndarray, lips: np.ndarray) -> np.ndarray:
    strength = {"none": 0.0, "stubble": 0.38, "full": 0.85, "goatee": 0.8, "moustache": 0.8}[person.look.beard]
    if strength == 0.0:
        return image
    rng = np.random.default_rng([person.look.seed, 8])
    grain = 0.75 + 0.18 * view.noise(rng, 0.12) + 0.12 * view.noise(rng, 0.5)
    where = _beard_where(person.look.beard, view.points, view.full_beard)
    return over(image, person.identity.natural_hair * 0.8, strength * where * grain * (1 - lips))


def beard_share(kind: str, points: np.ndarray) -> np.ndarray:
    """Where a beard grows, 0 to 1, at points (..., 3) of the template's skin."""
    return _beard_where(kind, points, regions.beard(points))


def _beard_where(kind: str, points: np.ndarray, full: np.ndarray) -> np.ndarray:
    """What a kind of beard leaves of a full one (...,)."""
    if kind in ("stubble", "full"):
        return full
    across = np.abs(points[..., 0])
    moustache = full * regions.smooth_step(-6.9, -6.6, points[..., 1]) * regions.smooth_step(3.2, 2.7, across)
    if kind == "moustache":
        return moustache
    return np.maximum(moustache, full * regions.smooth_step(3.1, 2.6, across))


def _scalp(person: Person, view: Canvas, image: np.ndarray) -> np.ndarray:
    """Hair painted on the scalp, so that no skin shows between locks and the hairline is ragged."""
    if person.look.style == "bald":
        return image
    rng = np.random.default_rng([person.look.seed, 9])
    inside = view.inside_hairline + 0.25 * view.noise(rng, 0.35) + 0.3 * view.noise(rng, 1.2)
    density = 0.82 if person.look.style == "buzz" else 0.95
    grain = 1.0 + 0.10 * view.noise(rng, 0.15)
    return over(image, person.look.hair * 0.7, density * grain * np.clip(0.5 + inside * 1.1, 0, 1))


def _iris(identity: Identity, size: int) -> np.ndarray:
    """One eye seen along its axis: sclera with a warm rim, limbal ring, fibres and pupil."""
    rng = np.random.default_rng([identity.seed, 11])
    side = round(size * 0.1875)
    y, x = (np.mgrid[0:side, 0:side] + 0.5) / side * 2 - 1
    angle = np.hypot(x, y) / 0.96 * EYE_SPAN_RAD
    turn = np.arctan2(y, x)
    soft = 1.6 * EYE_SPAN_RAD * 2 / side
    fibres = sum(rng.uniform(0.3, 1) * np.cos(k * turn + rng.uniform(0, 6)) for k in (7, 13, 23, 31)) / 2.6
    image = np.broadcast_to(np.array([0.93, 0.91, 0.89]), (side, side, 3)).copy()
    image = over(image, [0.85, 0.62, 0.58], 0.5 * np.clip((angle - 0.75) / 0.7, 0, 1))
    share = np.clip((angle - PUPIL_RAD) / (IRIS_RAD - PUPIL_RAD), 0, 1)
    colour = identity.iris * (1.25 - 0.35 * share + 0.16 * fibres)[..., None] + 0.10 * (1 - share)[..., None]
    image = image + (colour - image) * np.clip((IRIS_RAD - angle) / soft + 0.5, 0, 1)[..., None]
    image = over(image, identity.iris * 0.3, 0.75 * np.exp(-(((angle - IRIS_RAD + 0.02) / 0.05) ** 2)))
    return over(image, [0.015, 0.012, 0.012], np.clip((PUPIL_RAD - angle) / soft + 0.5, 0, 1))


def _swatches(person: Person, size: int) -> np.ndarray:
    """Plain colours, one band each, in the order of `SWATCHES`."""
    colours = {
        "teeth": np.array([0.93, 0.90, 0.83]),
        "tongue": np.array([0.62, 0.27, 0.27]),
        "mouth": np.array([0.30, 0.09, 0.09]),
        "glasses": person.look.glasses_colour,
    }
    height, width = round(size * 0.375), round(size * 0.125)
    rows = (np.arange(height) * len(SWATCHES) // height).clip(max=len(SWATCHES) - 1)
    return np.broadcast_to(np.array([colours[n] for n in SWATCHES])[rows][:, None], (height, width, 3))


def swatch_uv(name: str) -> np.ndarray:
    """Atlas coordinates (2,) of the middle of a swatch."""
    return region_uv("swatches", np.array([0.5, (SWATCHES.index(name) + 0.5) / len(SWATCHES)]))
