"""Images brought in as predictions, of every form that programs write: the picture that is meant, or a clear no."""

import io
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
from PIL import Image

from benchmarks.verdicts import Verdict, litter, project, typed, why_not_clear
from pipeline.store.clips import ClipWriter, encode_frame
from pipeline.store.schema import INDEX, PAIRS, write_table

HEIGHT, WIDTH = 48, 64
CLIP, METHOD = "id1#v#0#3", "theirs"
PAIR_IDS = ("a.same.000", "a.same.001", "a.same.002")
LOSSY = 6.0  # mean difference of a picture's values that JPEG at quality 95 may make; another turn makes 30 or more
_ORIENTATION = 0x0112
_UNTURN = {  # what stores a picture that is shown upright under EXIF's number
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}

Make = Callable[[np.ndarray, random.Random], bytes]  # an upright picture (H, W, 3) uint8, dice


@dataclass(frozen=True)
class Form:
    """One form of file: how it is made, its suffix, and what it is to give.

    Attributes:
        make: writes a picture.
        suffix: of the file.
        gives: `exact`, `lossy` or `refused`; `either` where a refusal and the exact picture are both right, `either
            lossy` where a lossy one is.
        grey: the picture has three equal channels; with `levels` it has few values.
        levels: number of values, 256 unless few.
    """

    make: Make
    suffix: str = ".png"
    gives: str = "exact"
    grey: bool = False
    levels: int = 256


def _saved(image: Image.Image, form: str, **how: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **how)
    return stream.getvalue()


def _in(form: str, mode: str = "RGB", **how: object) -> Make:
    return lambda picture, rng: _saved(Image.fromarray(picture).convert(mode), form, **how)


def _turned(form: str, **how: object) -> Make:
    def make(picture: np.ndarray, rng: random.Random) -> bytes:
        number = rng.choice(sorted(_UNTURN))
        exif = Image.Exif()
        exif[_ORIENTATION] = number
        return _saved(Image.fromarray(picture).transpose(_UNTURN[number]), form, exif=exif, **how)

    return make


def _deep(picture: np.ndarray, rng: random.Random) -> bytes:
    return cv2.imencode(".png", picture[..., ::-1].astype(np.uint16) * 257)[1].tobytes()


def _deep_grey(picture: np.ndarray, rng: random.Random) -> bytes:
    return cv2.imencode(".png", picture[..., 0].astype(np.uint16) * 257)[1].tobytes()


def _deep_see_through(picture: np.ndarray, rng: random.Random) -> bytes:
    deep = np.dstack([picture[..., ::-1], picture[..., 0] // 2]).astype(np.uint16) * 257
    return cv2.imencode(".png", deep)[1].tobytes()


def _see_through(form: str, **how: object) -> Make:
    def make(picture: np.ndarray, rng: random.Random) -> bytes:
        alpha = np.full((*picture.shape[:2], 1), 255, np.uint8)
        alpha[rng.randrange(HEIGHT), rng.randrange(WIDTH)] = rng.randrange(255)
        return _saved(Image.fromarray(np.concatenate([picture, alpha], 2)), form, **how)

    return make


def _key_colour(picture: np.ndarray, rng: random.Random) -> bytes:
    return _saved(Image.fromarray(picture), "PNG", transparency=tuple(int(v) for v in picture[0, 0]))


def _palette(see_through: bool) -> Make:
    def make(picture: np.ndarray, rng: random.Random) -> bytes:
        image = Image.fromarray(picture).quantize(256)
        return _saved(image, "PNG", **({"transparency": int(np.asarray(image)[0, 0])} if see_through else {}))

    return make


def _animated(form: str, **how: object) -> Make:
    def make(picture: np.ndarray, rng: random.Random) -> bytes:
        frames = [Image.fromarray(np.roll(picture, i, 0)) for i in range(3)]
        return _saved(frames[0], form, save_all=True, append_images=frames[1:], **how)

    return make


def _resized(picture: np.ndarray, rng: random.Random) -> bytes:
    height, width = rng.choice([(HEIGHT + 1, WIDTH), (HEIGHT, WIDTH - 1), (WIDTH, HEIGHT), (2 * HEIGHT, 2 * WIDTH)])
    return _saved(Image.fromarray(picture).resize((width, height)), "PNG")


def _cut(make: Make) -> Make:
    def damaged(picture: np.ndarray, rng: random.Random) -> bytes:
        data = make(picture, rng)
        return data[: rng.randrange(1, len(data))]

    return damaged


def _flipped(make: Make) -> Make:
    def damaged(picture: np.ndarray, rng: random.Random) -> bytes:
        data = bytearray(make(picture, rng))
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        return bytes(data)

    return damaged


PNG, JPEG = _in("PNG"), _in("JPEG", quality=95, subsampling=0)
FORMS = {
    "PNG": Form(PNG),
    "PNG, capitals": Form(PNG, ".PNG"),
    "PNG named .jpg": Form(PNG, ".jpg"),
    "JPEG": Form(JPEG, ".jpeg", "lossy"),
    "JPEG, progressive": Form(_in("JPEG", quality=95, progressive=True), ".jpg", "lossy"),
    "JPEG, grey": Form(_in("JPEG", "L", quality=95), ".jpg", "lossy", grey=True),
    "JPEG, CMYK": Form(_in("JPEG", "CMYK", quality=95), ".jpg", "refused"),
    "BMP": Form(_in("BMP"), ".bmp"),
    "BMP, palette": Form(_in("BMP", "L"), ".BMP", grey=True),
    "WebP": Form(_in("WEBP", lossless=True), ".webp"),
    "8-bit grey": Form(_in("PNG", "L"), grey=True),
    "16-bit grey": Form(_deep_grey, grey=True),
    "16-bit colour": Form(_deep),
    "16-bit, see-through": Form(_deep_see_through, gives="refused"),
    "1-bit": Form(_in("PNG", "1"), grey=True, levels=2),
    "palette": Form(_palette(see_through=False), levels=4),
    "palette, see-through": Form(_palette(see_through=True), gives="refused", levels=4),
    "alpha, opaque": Form(_in("PNG", "RGBA")),
    "grey and alpha, opaque": Form(_in("PNG", "LA"), grey=True),
    "alpha, see-through": Form(_see_through("PNG"), gives="refused"),
    "WebP, see-through": Form(_see_through("WEBP", lossless=True, exact=True), ".webp", "refused"),
    "key colour": Form(_key_colour, gives="refused"),
    "EXIF orientation, JPEG": Form(_turned("JPEG", quality=95, subsampling=0), ".jpg", "lossy"),
    "EXIF orientation, PNG": Form(_turned("PNG")),
    "EXIF orientation, WebP": Form(_turned("WEBP", lossless=True), ".webp"),
    "animated PNG": Form(_animated("PNG"), gives="refused"),
    "animated WebP": Form(_animated("WEBP", lossless=True), ".webp", "refused"),
    "GIF": Form(_animated("GIF"), gives="refused"),
    "TIFF": Form(_in("TIFF"), gives="refused"),
    "32-bit": Form(_in("TIFF", "F"), gives="refused"),
    "truncated PNG": Form(_cut(PNG), gives="either"),
    "truncated JPEG": Form(_cut(JPEG), ".jpg", "either lossy"),
    "truncated BMP": Form(_cut(_in("BMP")), ".bmp", "refused"),
    "truncated WebP": Form(_cut(_in("WEBP", lossless=True)), ".webp", "either"),
    "PNG, bit flipped": Form(_flipped(PNG), gives="either"),
    "other size": Form(_resized, gives="refused"),
    "empty": Form(lambda picture, rng: b"", gives="refused"),
    "HTML page": Form(lambda picture, rng: b"<html>not found</html>", gives="refused"),
    "git-lfs pointer": Form(lambda picture, rng: b"version https://git-lfs.github.com/spec/v1\n", gives="refused"),
}


def _in_its_place(image: Path, put: Callable[[Path], None]) -> None:
    image.unlink()
    put(image)


# What is wrong with the folder: what is done to its middle image, and the outcome.
FOLDERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "image missing": (lambda image: image.unlink(), "refused"),
    "image doubled": (lambda image: image.with_suffix(".jpg").write_bytes(b""), "refused"),
    "image of no pair": (lambda image: image.with_name("b.same.000.png").write_bytes(b""), "refused"),
    "folder in an image's place": (lambda image: _in_its_place(image, lambda path: path.mkdir()), "refused"),
    "link to nothing": (lambda image: _in_its_place(image, lambda path: path.symlink_to("gone")), "refused"),
    "foreign files": (lambda image: litter(image.parent), "exact"),
    "images in a folder below": (
        lambda image: _in_its_place(image, lambda path: (path.parent / "more" / path.name).mkdir(parents=True)),
        "refused",
    ),
}


def fuzz_predictions(folder: Path, seed: int, rounds: int = 3) -> Iterator[Verdict]:
    """Import three images a case, of which the middle one has the fault; every form `rounds` times."""
    _write_world(folder)
    for number in range(rounds):
        for fault, form in FORMS.items():
            rng = random.Random(f"{seed}/{fault}/{number}")
            pictures = {name: _draw(rng, form if name == PAIR_IDS[1] else Form(PNG)) for name in PAIR_IDS}
            case = folder / f"{number} {fault}"
            case.mkdir()
            _lay_out(case, pictures, form.make(pictures[PAIR_IDS[1]], rng), form.suffix)
            yield _imported(folder, case, fault, form.gives, pictures, PAIR_IDS[1])
    for fault, (change, gives) in FOLDERS.items():
        rng = random.Random(f"{seed}/{fault}")
        pictures = {name: _draw(rng, Form(PNG)) for name in PAIR_IDS}
        case = folder / fault
        case.mkdir()
        change(_lay_out(case, pictures, PNG(pictures[PAIR_IDS[1]], rng), ".png"))
        yield _imported(folder, case, fault, gives, pictures, str(case))


def _imported(world: Path, case: Path, fault: str, gives: str, pictures: dict[str, np.ndarray], named: str) -> Verdict:
    with project(case):
        where = ("--pairs", world / "pairs.parquet", "--clips", world / "clips", "--results", case.with_suffix(".out"))
        code, said = typed("predictions", "import", case, METHOD, *where)
    written = case.with_suffix(".out") / METHOD / "predictions.arrow"
    if code == 0:
        wrong = "was taken" if gives == "refused" else _other(written, pictures, lossy=gives.endswith("lossy"))
        return Verdict("predictions", fault, "right", wrong and f"{fault}: {wrong}")
    wrong = "was refused: " + said if gives in ("exact", "lossy") else why_not_clear(code, said, named)
    wrong = wrong or ("left predictions" if written.exists() else "")
    return Verdict("predictions", fault, "refused", wrong and f"{fault}: {wrong}")


def _other(written: Path, pictures: dict[str, np.ndarray], *, lossy: bool) -> str:
    """How packed predictions differ from the pictures that were meant; read with another library than packed."""
    rows = pa.ipc.open_file(str(written)).read_all().to_pylist()
    found = {row["pair_id"]: np.asarray(Image.open(io.BytesIO(row["png"]))) for row in rows}
    if list(found) != list(pictures):
        return f"pairs {list(found)}"
    for name, picture in pictures.items():
        apart = np.abs(found[name].astype(int) - picture) if found[name].shape == picture.shape else np.array([999])
        if apart.max() > 0 and not (lossy and name == PAIR_IDS[1] and apart.mean() < LOSSY):
            return f"{name} is {apart.mean():.1f} away from what was meant"
    return ""


def _draw(rng: random.Random, form: Form) -> np.ndarray:
    """A picture that no turn or mirror leaves as it is: slopes and patches."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    planes = [
        (rng.randrange(60) + 2.2 * rows + 0.9 * columns) % 256,
        (3 * columns + rng.randrange(60)) % 200,
        1.5 * rows,
    ]
    picture = np.stack([planes[0]] * 3 if form.grey else planes, 2)
    picture[5:15, 8:30] = rng.randrange(256)
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    if form.levels < 256:
        step = 256 // form.levels
        picture = (picture // step * (255 // (form.levels - 1))).astype(np.uint8)
    return picture


def _lay_out(case: Path, pictures: dict[str, np.ndarray], odd: bytes, suffix: str) -> Path:
    for name in (PAIR_IDS[0], PAIR_IDS[2]):
        (case / f"{name}.png").write_bytes(PNG(pictures[name], random.Random(0)))
    path = case / f"{PAIR_IDS[1]}{suffix}"
    path.write_bytes(odd)
    return path


def _write_world(folder: Path) -> None:
    """One clip and three pairs of it."""
    black = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    with ClipWriter(folder / "clips", "png", 1 << 20) as writer:
        shard, batch = writer.add(0, [encode_frame(black, "png", 0)] * len(PAIR_IDS))
    row = {"clip": CLIP, "dataset": "a", "split": "test", "person": "id1", "video": "v", "start": 0, "end": 3,
           "fps": 25.0, "num_frames": 3, "source_width": WIDTH, "source_height": HEIGHT,
           "crop_map": [1, 0, 0, 0, 1, 0], "frame_index": [0, 1, 2], "shard": shard, "batch": batch}  # fmt: skip
    write_table(folder / "clips" / "index.parquet", pa.Table.from_pylist([row], schema=INDEX))
    pairs = [{"pair_id": name, "dataset": "a", "task": "same", "source_clip": CLIP, "source_frame": 0,
              "driving_clip": CLIP, "driving_frame": i, "source_person": "id1", "driving_person": "id1"}
             for i, name in enumerate(PAIR_IDS)]  # fmt: skip
    write_table(folder / "pairs.parquet", pa.Table.from_pylist(pairs, schema=PAIRS))
