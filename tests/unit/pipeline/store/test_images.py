"""The one reader of images: pictures of a known array in every form, right to the level or refused by name."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from pipeline.store.images import UnreadableImage, read_image
from tests.helpers import ROOT

HEIGHT, WIDTH = 6, 9
COLOURS = {0: 1, 2: 3, 4: 2, 6: 4}  # PNG's type of colour -> channels: grey, RGB, either with alpha


def picture(channels: int, top: int = 256) -> np.ndarray:
    """An array that no turn and no mirror leaves as it is."""
    return np.random.default_rng(channels).integers(0, top, (HEIGHT, WIDTH, channels))


def png(pixels: np.ndarray, colour: int, bits: int, *more: bytes) -> bytes:
    """Write a PNG by hand: (H, W, C) numbers of `bits` bits."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = pixels.astype(">u2" if bits == 16 else "u1")
    size = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], bits, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    extra = b"".join(chunk(one[:4], one[4:]) for one in more)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + extra + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def rgb(pixels: np.ndarray, bits: int) -> np.ndarray:
    """What a viewer shows, in exact fractions: three channels of 8 bits."""
    shown = np.floor(pixels / (2**bits - 1) * 255 + 0.5).astype(np.uint8)
    return shown[..., :3] if shown.shape[-1] > 2 else np.repeat(shown[..., :1], 3, 2)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("colour", list(COLOURS))
def test_png_of_every_depth_and_colour(colour, bits):
    pixels = picture(COLOURS[colour], 2**bits)
    if colour in (4, 6):
        pixels[..., -1] = 2**bits - 1
    np.testing.assert_array_equal(read_image(png(pixels, colour, bits)), rgb(pixels, bits))
    if colour in (4, 6):
        pixels[2, 3, -1] = 0
        with pytest.raises(UnreadableImage, match="transparent pixels"):
            read_image(png(pixels, colour, bits))


def test_the_grey_picture_of_16_bits_that_was_read_as_white():
    data = (ROOT / "tests" / "data" / "images" / "grey16.png").read_bytes()
    found = read_image(data)
    with Image.open(io.BytesIO(data)) as image:
        levels = np.asarray(image).astype(np.float64)
    np.testing.assert_array_equal(found, rgb(levels[..., None], 16))
    assert 100 < found.mean() < 140


def test_palettes_with_and_without_a_transparent_colour():
    image = Image.fromarray(picture(3).astype(np.uint8)).quantize(8)
    np.testing.assert_array_equal(read_image(saved(image, "PNG")), np.asarray(image.convert("RGB")))
    used, unused = int(np.asarray(image)[0, 0]), 200
    with pytest.raises(UnreadableImage, match="transparent pixels"):
        read_image(saved(image, "PNG", transparency=used))
    palette = image.getpalette() + [0] * (768 - len(image.getpalette()))
    image.putpalette(palette)
    np.testing.assert_array_equal(
        read_image(saved(image, "PNG", transparency=unused)), np.asarray(image.convert("RGB"))
    )


def test_black_and_white_of_one_bit():
    pixels = picture(1)[..., 0] > 128
    expected = np.repeat(pixels[..., None] * np.uint8(255), 3, 2)
    np.testing.assert_array_equal(read_image(saved(Image.fromarray(pixels), "PNG")), expected)


def test_one_colour_named_as_transparent_in_16_bits():
    with pytest.raises(UnreadableImage, match="transparent"):
        read_image(png(picture(1, 65536), 0, 16, b"tRNS" + struct.pack(">H", 7)))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("bits", [8, 16])
def test_pictures_are_upright(orientation, bits):
    """By the standard's words: which side of the stored array is the top, and which the left."""
    pixels = picture(3, 2**bits)
    rows_and_columns = {
        1: ("top", "left"), 2: ("top", "right"), 3: ("bottom", "right"), 4: ("bottom", "left"),
        5: ("left", "top"), 6: ("right", "top"), 7: ("right", "bottom"), 8: ("left", "bottom"),
    }[orientation]  # of row 0 and of column 0  # fmt: skip
    shown = np.empty((HEIGHT, WIDTH, 3) if orientation < 5 else (WIDTH, HEIGHT, 3), np.uint8)
    for row in range(HEIGHT):
        for column in range(WIDTH):
            place = {}
            for side, number in zip(rows_and_columns, (row, column), strict=True):
                axis = "y" if side in ("top", "bottom") else "x"
                size = shown.shape[0] if axis == "y" else shown.shape[1]
                place[axis] = number if side in ("top", "left") else size - 1 - number
            shown[place["y"], place["x"]] = rgb(pixels, bits)[row, column]
    tag = exif(orientation).tobytes()[6:]
    np.testing.assert_array_equal(read_image(png(pixels, 2, bits, b"eXIf" + tag)), shown)
    if bits == 8:
        jpeg = saved(Image.fromarray(pixels.astype(np.uint8)), "JPEG", exif=exif(orientation), quality=95)
        plain = saved(Image.fromarray(pixels.astype(np.uint8)), "JPEG", quality=95)
        assert read_image(jpeg).shape == shown.shape
        if orientation == 1:
            np.testing.assert_array_equal(read_image(jpeg), read_image(plain))


@pytest.mark.parametrize("kind", ["BMP", "WEBP", "PNG"])
def test_other_formats_without_loss(kind):
    pixels = picture(3).astype(np.uint8)
    options = {"lossless": True} if kind == "WEBP" else {}
    np.testing.assert_array_equal(read_image(saved(Image.fromarray(pixels), kind, **options)), pixels)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_animations_are_refused(kind):
    frames = [Image.fromarray(picture(3).astype(np.uint8)), Image.fromarray(255 - picture(3).astype(np.uint8))]
    with pytest.raises(UnreadableImage, match="holds 2 pictures"):
        read_image(saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=40))


def test_inks_other_formats_and_damage_are_refused():
    image = Image.fromarray(picture(3).astype(np.uint8))
    whole = saved(image, "JPEG")
    for data, reason in (
        (saved(image.convert("CMYK"), "JPEG"), "is in CMYK"),
        (saved(image, "TIFF"), "is no file of PNG, JPEG"),
        (b"", "is empty"),
        (b"<html>", "is no file of PNG, JPEG"),
        (whole[: len(whole) * 2 // 3], "is damaged or no image"),
        (saved(image, "PNG")[:-40], "is damaged or no image"),
        (png(picture(1, 65536), 0, 16)[:-40], "is damaged"),
    ):
        with pytest.raises(UnreadableImage, match=reason):
            read_image(data)


def test_a_png_with_a_flipped_bit_is_the_same_picture_or_refused():
    """Its parts have checksums; decoding alone does not look at them."""
    whole = picture(3)
    data = png(whole, 2, 8)
    refused = 0
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 1 << place % 8
        try:
            np.testing.assert_array_equal(read_image(bytes(damaged)), whole)
        except UnreadableImage:
            refused += 1
    assert refused > len(data) - 10
