"""How a puppet's surface answers to light: what each part is made of, and the lamps of a look.

All in linear light with a gamma of 2: wrapped diffuse light (red comes round the terminator of skin), ambient light,
highlights of skin, eyes and strands of hair. Pixels come one part at a time, so that a part's material is a handful of
numbers and a highlight that it does not have costs nothing; values are planes, (3, n), that fit into the cache, and
change in place. Where a value is known to stay below 1 it is still clipped there: numpy clips between two bounds twice
as fast as at one.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.puppets.appearance import PARTS
from pipeline.puppets.people import Look


def _table(values: dict[str, float]) -> np.ndarray:
    return np.array([values.get(name, 0.0) for name in PARTS], np.float32)


_WRAP = _table(
    {"skin": 0.42, "ears": 0.5, "neck": 0.42, "lips": 0.4, "brows": 0.4, "hair": 0.3, "beard": 0.3, "clothes": 0.15}
)
_WRAP_OF_CHANNEL = np.array([[1.0], [0.58], [0.44]], np.float32)  # light goes farthest under the skin in red
_GLOSS = _table({"skin": 0.055, "ears": 0.04, "neck": 0.03, "lips": 0.10, "brows": 0.02, "mouth": 0.10, "glasses": 0.3})
_POLISH = _table({"eyes": 1.2, "lips": 0.10, "glasses": 0.8, "mouth": 0.25, "skin": 0.02})
_HAIR_SHINE, _HAIR_COLOUR = 0.025, 0.45


@dataclass(frozen=True)
class Lamps:
    """The light of a look, float32: directions (3,) towards the lamp and of its highlights, colours (3, 1)."""

    direction: np.ndarray
    half: np.ndarray
    half_eye: np.ndarray
    key: np.ndarray
    ambient: np.ndarray
    rim: float

    @staticmethod
    def of(look: Look) -> "Lamps":
        """Set the lamps of a look up."""
        direction, viewer = look.light_direction, np.array([0.0, 0.0, 1.0])
        low = direction * np.array([0.8, 0.35, 1.0])  # a lower lamp for eyes, or lids would hide its reflection
        half, half_eye = (middle / np.linalg.norm(middle) for middle in (direction + viewer, low + viewer))
        colours = (colour[:, None] for colour in (look.light_colour, look.ambient_colour))
        key, ambient = (colour.astype(np.float32) for colour in colours)
        towards, half, half_eye = (v.astype(np.float32) for v in (direction, half, half_eye))
        return Lamps(towards, half, half_eye, key, ambient, look.rim)

    def light(
        self,
        paint: np.ndarray,
        part: int,
        normal: np.ndarray,
        strands: np.ndarray | None,
        openness: np.ndarray,
        direct: np.ndarray,
    ) -> np.ndarray:
        """Light n covered pixels of one part: (3, n) uint8 sRGB.

        Args:
            paint: (3, n) uint8 colours.
            part: index into `appearance.PARTS`.
            normal: (3, n) unit normals.
            strands: (3, n) unit directions of strands where the part is hair, else None.
            openness: (n,) share of the ambient light that arrives.
            direct: (n,) share of the lamp's light that arrives.
        """
        import cv2

        albedo = paint.astype(np.float32)
        albedo *= 1 / 255
        np.square(albedo, out=albedo)
        wrap = _WRAP_OF_CHANNEL * _WRAP[part]
        total = _along(self.direction, normal) + wrap
        total /= 1 + wrap
        total.clip(0, 1, out=total)
        total *= direct
        total *= np.float32(1.3) * self.key
        sky = normal[1] * 0.28
        sky += 0.72
        sky *= openness
        total += self.ambient * sky
        glow = 1 - openness
        glow *= openness
        glow *= 0.25 * self.ambient[0]
        total[0] += glow  # creases glow red
        total *= albedo
        highlight = self._highlight(part, normal)
        if highlight is not None:
            highlight *= direct
            total += self.key * highlight
        if self.rim > 0.05:
            total += self._rim_light(albedo, normal, openness)
        if strands is not None:
            shine = self._hair_shine(strands, albedo)
            shine *= self.key
            shine *= direct * openness
            total += shine
        shoulder = total * 0.45  # soft, so that pale skin keeps its shape
        shoulder += 0.72
        total /= shoulder
        return cv2.convertScaleAbs(np.sqrt(total, out=total), alpha=255)

    def _highlight(self, part: int, normal: np.ndarray) -> np.ndarray | None:
        """The lamp's reflection (n,): broad on skin, sharp on wet and polished parts; None where the part has none."""
        found = None
        for strength, direction, doublings in ((_GLOSS[part], self.half, 4), (_POLISH[part], self.half_eye, 7)):
            if strength:
                facing = _along(direction, normal)
                spot = _power(facing.clip(0, 1, out=facing), doublings)
                spot *= strength
                found = spot if found is None else np.add(found, spot, out=found)
        return found

    def _rim_light(self, albedo: np.ndarray, normal: np.ndarray, openness: np.ndarray) -> np.ndarray:
        """Light (3, n) from behind, on the side that the lamp leaves dark."""
        edge = 1 - normal[2]
        np.square(edge.clip(0, 1, out=edge), out=edge)
        side = normal[0] * (-0.5 * float(np.sign(self.direction[0])))
        side += 0.5
        edge *= side.clip(0, 1, out=side)
        edge *= openness
        edge *= self.rim
        back = albedo * 0.5
        back += 0.04
        back *= edge
        return back

    def _hair_shine(self, strands: np.ndarray, albedo: np.ndarray) -> np.ndarray:
        """Kajiya and Kay's highlight of a cylinder (3, n), narrow in white and wide in the hair's own colour."""
        across = np.square(_along(self.half, strands))
        np.subtract(1, across, out=across)
        wide = _power(across.clip(0, 1, out=across), 3)
        shine = albedo * _HAIR_COLOUR
        shine *= wide
        narrow = _power(wide, 3)
        narrow *= _HAIR_SHINE
        shine += narrow
        return shine


def _along(direction: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Product (n,) of a direction (3,) with every one of some vectors (3, n)."""
    total = vectors[0] * direction[0]
    total += vectors[1] * direction[1]
    total += vectors[2] * direction[2]
    return total


def _power(value: np.ndarray, doublings: int) -> np.ndarray:
    """Raise to the power 2**doublings, in place."""
    for _ in range(doublings):
        np.square(value, out=value)
    return value
