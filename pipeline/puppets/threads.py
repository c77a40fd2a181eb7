"""What is made of threads: the strands of the hair and the weave of the garment, as parts of the atlas."""

import numpy as np

from pipeline.puppets.people import Look


def over(image: np.ndarray, colour: np.ndarray | list[float], mask: np.ndarray) -> np.ndarray:
    """Lay a colour over an image, in place, where the mask says; works on the part that the mask touches."""
    touched = mask > 0.004
    rows, columns = (np.flatnonzero(touched.any(axis)) for axis in (1, 0))
    if not len(rows):
        return image
    part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    share = np.clip(mask[part], 0, 1).astype(np.float32)[..., None]
    image[part] += (np.asarray(colour, np.float32) - image[part]) * share
    return image


def paint_strands(look: Look, size: int) -> np.ndarray:
    """Streaks across u, roots to tips along v."""
    import cv2

    rng = np.random.default_rng([look.seed, 10])
    width, height = round(size * 0.5), round(size * 0.375)
    streaks = np.zeros((height, width), np.float32)
    for columns, rows, strength in ((24, 2, 0.5), (90, 3, 0.8), (220, 5, 0.9)):
        coarse = rng.standard_normal((rows, columns)).astype(np.float32)
        streaks += strength * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    along = np.linspace(0.72, 1.16, height, dtype=np.float32)[:, None]
    shade = np.clip(along * (1 + 0.17 * streaks), 0.35, 1.7)[..., None]
    lightness = float(look.hair.mean())
    return np.clip(look.hair * shade + 0.02 * streaks[..., None] * (0.4 + lightness), 0, 1)


def paint_fabric(look: Look, size: int) -> np.ndarray:
    """Weave of the garment: u around the body, v downwards."""
    rng = np.random.default_rng([look.seed, 13])
    width, height = round(size * 0.375), round(size * 0.1875)
    v, u = np.mgrid[0:height, 0:width] / np.array([height, width])[:, None, None]
    image = np.broadcast_to(look.clothes, (height, width, 3)).astype(np.float64)
    lines = np.clip(3 * np.sin(2 * np.pi * 9 * v), 0, 1)
    if look.pattern == "checks":
        lines = 0.5 * lines + 0.5 * np.clip(3 * np.sin(2 * np.pi * 30 * u), 0, 1)
    if look.pattern != "plain":
        image = over(image, look.second_colour, 0.75 * lines)
    return image * (1 + 0.04 * rng.standard_normal((height, width, 1)))
