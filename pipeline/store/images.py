"""The one reader of image files that others made: the picture as it is meant to be seen, or a refusal by name.

Convention: upright (EXIF orientation applied) 8-bit RGB. Grey becomes three equal channels; 16 bits are scaled by
255 / 65535 and rounded to the nearest. An alpha channel is dropped where every pixel is opaque. Colour profiles are not
applied: numbers are taken as sRGB, as trackers and metrics take them.
"""

import io
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
_FORMATS = ("PNG", "JPEG", "BMP", "WEBP")
_SIMPLE = ("1", "L", "P", "RGB", "LA", "PA", "RGBA")  # modes of the imaging library: 8 bits a channel or less
_PNG = b"\x89PNG\r\n\x1a\n"
_ORIENTATION = 0x0112  # tag of EXIF
_TRANSPARENT = "has transparent pixels: lay it on the background that is meant"
_TURNS = {  # of an array (H, W, 3), by EXIF's number
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: np.rot90(a),
}


class UnreadableImage(ValueError):
    """Bytes are no picture that can be shown as it is meant; the message says why, as the end of a sentence."""


def read_image(data: bytes) -> np.ndarray:
    """Decode an image file.

    Args:
        data: the bytes of a PNG, JPEG, BMP or WebP file.

    Returns:
        (H, W, 3) uint8 RGB, upright.

    Raises:
        UnreadableImage: the bytes are damaged or of another format; or the picture has transparent pixels, inks (CMYK)
            in place of lights, several frames, or a form of pixel that has no one meaning in 8 bits.
    """
    from PIL import Image, UnidentifiedImageError

    if not data:
        raise UnreadableImage("is empty")
    try:
        if data.startswith(_PNG):
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                image.verify()  # checksums of all its parts, which decoding alone does not look at
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            if (count := getattr(image, "n_frames", 1)) > 1:
                raise UnreadableImage(f"holds {count} pictures: write the one that is meant")
            if image.mode == "CMYK":
                raise UnreadableImage("is in CMYK, whose colours depend on inks: convert it to RGB")
            image.load()
            deep = _png_bits(data) == 16
            if not deep and image.mode not in _SIMPLE:
                raise UnreadableImage(f"has pixels of mode {image.mode}: convert it to 8-bit RGB")
            if image.has_transparency_data and not _opaque(image):
                raise UnreadableImage(_TRANSPARENT)
            upright = _TURNS.get(image.getexif().get(_ORIENTATION, 1), _TURNS[1])
            return np.ascontiguousarray(upright(_eight_bits(data) if deep else np.asarray(image.convert("RGB"))))
    except UnreadableImage:
        raise
    except UnidentifiedImageError:
        raise UnreadableImage(f"is no file of {', '.join(_FORMATS)}, or its beginning is damaged") from None
    except Exception as error:  # noqa: BLE001 - damaged files make the library raise anything
        raise UnreadableImage(f"is damaged or no image ({type(error).__name__}: {error})") from None


def _opaque(image: "Image.Image") -> bool:
    """Whether nothing shines through; for 16 bits by their upper eight, and never where one colour is named."""
    if image.mode.startswith("I"):
        return False
    return bool(np.asarray(image.convert("RGBA"))[..., 3].min() == 255)


def _png_bits(data: bytes) -> int:
    """Bits a channel of a PNG, which stand behind its size; 0 for other files."""
    return data[24] if data.startswith(_PNG) else 0


def _eight_bits(data: bytes) -> np.ndarray:
    """Decode a PNG of 16 bits a channel, of which the imaging library would keep the upper eight."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise UnreadableImage("is damaged")
    rounded = ((pixels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    return np.stack([rounded] * 3, 2) if rounded.ndim == 2 else rounded[..., 2::-1]  # from BGR or BGRA
