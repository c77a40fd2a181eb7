"""Data folders as users have them: what systems leave in them, odd names, capitals, other ends of lines.

Every case is a whole film in a whole data set, so its clip must come out of `crop` as it does from a plain folder,
each frame showing its number; where a table cannot be read, one clear line must name it.
"""

import io
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager, redirect_stderr
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
from PIL import Image

from benchmarks.faults import FPS, FRAMES, SIZE_HW, read_number, synthetic_video
from benchmarks.fuzz import FUZZ_CROP
from benchmarks.verdicts import Verdict, litter
from pipeline.cropping.pack import crop_all
from pipeline.params.data import SourceParams
from pipeline.sources.fomm_csv import COLUMNS
from pipeline.sources.listing import list_source
from pipeline.sources.request import SourceError
from pipeline.store.clips import ClipStore
from pipeline.store.schema import read_table, write_table

PERSON, VIDEO = "id00017", "aBc-_123"
START, END = 15, 36
BOX = (60, 40, 190, 170)  # left, top, right, bottom, px
BOM = b"\xef\xbb\xbf"
TREE_HEIGHT = 360  # of the frames that VoxCeleb's boxes are given in

FORMS: dict[str, dict[str, str | float | None]] = {
    "voxceleb1": {"annotations": "txt", "videos": "videos"},
    "fomm_csv": {"annotations": "boxes.csv", "videos": "videos"},
    "vox2_release": {"annotations": None, "videos": "mp4"},
    "crops": {"annotations": None, "videos": "."},
    "images": {"annotations": None, "videos": "."},
    "video_folder": {"annotations": "landmarks.parquet", "videos": "videos", "forehead": 0.1},
}
NAMES = {
    "space": "a b",
    "colon": "vox:1",
    "scheme": "http:",
    "percent": "50%",
    "percent and number": "f%04d",
    "hash": "#1 take",
    "question mark": "what?",
    "ampersand": "a&b=c",
    "brackets": "[set] *{1}",
    "quotes": 'it\'s "it"',
    "backslash": "back\\slash",
    "non-ASCII": "Ünïcödé 視頻 é",
    "dash": "-i",
    "dollar": "$HOME ~",
    "very long": "x" * 200,
}
SUFFIXES = (".MP4", ".Mp4", ".WEBM", ".MKV", ".AVI", ".MOV")


@dataclass(frozen=True)
class Folder:
    """One case: what is wrong, of which kind of data set, and what is done to it.

    Attributes:
        fault: for the report.
        kind: key of `FORMS`.
        root: name of the folder that holds the data set.
        suffix: of the film.
        video: its id.
        change: what is done to the data set when it is written.
        refused: the name in the one clear line that refuses the folder; empty where it must come out whole.
        decord: False where PyAV decodes.
    """

    fault: str
    kind: str
    root: str = "plain"
    suffix: str = ".mp4"
    video: str = VIDEO
    change: Callable[[Path], object] = lambda folder: None
    refused: str = ""
    decord: bool = True


def cases() -> list[Folder]:
    """All cases."""
    found = [Folder("whole", kind) for kind in FORMS]
    found += [Folder("foreign files", kind, change=litter) for kind in FORMS]
    for fault, name in NAMES.items():
        for kind in ("voxceleb1", "crops", "images"):
            found.append(Folder(f"folder's name: {fault}", kind, root=name))
        found.append(Folder(f"folder's name: {fault}", "vox2_release", root=name, decord=False))
        if fault != "hash":  # it parts the names of clips
            found.append(Folder(f"video's name: {fault}", "fomm_csv", video=name))
    for suffix in SUFFIXES:
        for kind in ("voxceleb1", "vox2_release", "crops"):
            found.append(Folder("capitals in the suffix", kind, suffix=suffix))
    ends = {
        "BOM": lambda data: BOM + data,
        "ends of lines of Windows": lambda data: data.replace(b"\n", b"\r\n"),
        "BOM and ends of lines of Windows": lambda data: BOM + data.replace(b"\n", b"\r\n"),
        "no last end of line": lambda data: data.rstrip(b"\n"),
    }
    for fault, rewrite in ends.items():
        found.append(Folder(f"csv: {fault}", "fomm_csv", change=_rewrite("boxes.csv", rewrite)))
        found.append(Folder(f"annotation tree: {fault}", "voxceleb1", change=_rewrite("txt/*/*/*.txt", rewrite)))
    wrong = {
        "UTF-16": lambda data: data.decode().encode("utf-16"),
        "semicolons": lambda data: data.replace(b",", b";"),
        "HTML page": lambda data: b"<html>not found</html>",
        "empty": lambda data: b"",
    }
    for fault, rewrite in wrong.items():
        found.append(Folder(f"csv: {fault}", "fomm_csv", change=_rewrite("boxes.csv", rewrite), refused="boxes.csv"))
        table = _rewrite("landmarks.parquet", partial(_of_a_small_table, rewrite))
        found.append(Folder(f"landmark table: {fault}", "video_folder", change=table, refused="landmarks.parquet"))
    return found


def fuzz_folders(folder: Path, seed: int) -> Iterator[Verdict]:
    """Crop the clips of every case; there is no chance in them, `seed` is for the others' sake."""
    films = {suffix: synthetic_video(folder / f"film{suffix}", *_codec(suffix)) for suffix in (".mp4", *SUFFIXES)}
    for number, case in enumerate(cases()):
        work, root = folder / str(number), Path(case.root)  # relative, as in params.yaml: `vox:1` could be a protocol
        _write(work / root / "set", case, films[case.suffix])
        case.change(work / root / "set")
        try:
            with chdir(work), _decoder(decord=case.decord), redirect_stderr(io.StringIO()):
                wrong = _wrong(work, root, case)
            outcome = "right"
            if case.refused and not wrong:
                wrong = "was taken"
        except SourceError as error:
            outcome, text = "refused", str(error)
            wrong = f"was refused: {text}" if not case.refused else ""
            if case.refused not in text or "\n" in text:
                wrong = f"is no clear line that names {case.refused}: {text}"
        yield Verdict("folders", case.fault, outcome, wrong and f"{case.kind}, {case.fault}, {case.suffix}: {wrong}")


def _codec(suffix: str) -> tuple[str, int]:
    return {".webm": "libvpx", ".avi": "mpeg4"}.get(suffix.lower(), "libx264"), int(FPS)


@contextmanager
def _decoder(*, decord: bool) -> Iterator[None]:
    """Decode as where decord is not installed, unless it is to be used."""
    before = sys.modules.get("decord")
    if not decord:
        sys.modules["decord"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        sys.modules.pop("decord", None)
        if before is not None:
            sys.modules["decord"] = before


def _wrong(work: Path, root: Path, case: Folder) -> str:
    """What is wrong with the clips that crop made; empty if nothing is."""
    kind = "crops" if case.kind == "images" else case.kind
    form = {"name": "Set", "kind": kind, "folder": "set", "watch": "set", "split": "test", **FORMS[case.kind]}
    clips = list_source(SourceParams.model_validate(form), root, FUZZ_CROP.tube, "data.first")
    crop_all(clips, work / "clips", FUZZ_CROP, work / "scratch", workers=0, scheduler=None, clip_timeout_s=60)
    rows = read_table(work / "clips" / "eval" / "ledger.parquet").to_pylist()
    if [row["reason"] for row in rows] != ["ok"]:
        return f"the ledger has {[(row['clip'], row['reason'], row['detail'][-200:]) for row in rows]}"
    store = ClipStore(work / "clips" / "eval")
    (entry,) = store.index.to_pylist()
    wanted = list(range(FRAMES)) if case.kind in ("vox2_release", "crops", "images") else list(range(START, END))
    shown = [read_number(frame, entry["crop_map"]) for frame in store.frames(entry["clip"])]
    named = (entry["person"], entry["video"].split("/")[0])
    if named != (PERSON, case.video):
        return f"is named {named}"
    return "" if shown == wanted == entry["frame_index"] else f"shows {shown}, not {wanted}"


def _write(folder: Path, case: Folder, film: Path) -> None:
    """A data set of one clip of a film."""
    if case.kind in ("crops", "images"):
        name = f"{PERSON}#{case.video}#000000#{FRAMES:06d}"
        if case.kind == "crops":
            _put(folder / f"{name}{case.suffix}", film.read_bytes())
        else:
            _write_images(folder / name, film)
        return
    if case.kind == "vox2_release":
        _put(folder / "mp4" / PERSON / case.video / f"00001{case.suffix}", film.read_bytes())
        return
    _put(folder / "videos" / f"{case.video}{case.suffix}", film.read_bytes())
    left, top, right, bottom = BOX
    if case.kind == "fomm_csv":
        height, width = SIZE_HW
        row = [case.video, START, END, "-".join(map(str, BOX)), FPS, width, height, "test", PERSON]
        _put(folder / "boxes.csv", "\n".join([",".join(COLUMNS), ",".join(map(str, map(_quoted, row))), ""]).encode())
    elif case.kind == "voxceleb1":
        scale = TREE_HEIGHT / SIZE_HW[0]
        box = [round(v * scale) for v in (left, top, right - left, bottom - top)]
        head = [f"Identity  : \t{PERSON}", f"Reference : \t{case.video}", "Offset    : \t0", "FV Conf   : \t9",
                "ASD Conf  : \t5", "", "FRAME \tX \tY \tW \tH "]  # fmt: skip
        lines = [f"{frame:06d} \t" + " \t".join(map(str, box)) + " " for frame in range(START, END)]
        _put(folder / "txt" / PERSON / case.video / "00001.txt", "\n".join([*head, *lines, ""]).encode())
    else:
        _write_landmarks(folder / "landmarks.parquet", case.video)


def _quoted(value: object) -> object:
    return '"' + value.replace('"', '""') + '"' if isinstance(value, str) and '"' in value else value


def _write_landmarks(path: Path, video: str) -> None:
    left, top, right, bottom = BOX
    points = np.stack([np.linspace(left, right, 68), np.linspace(top, bottom, 68)], 1).astype(np.float32).ravel()
    rows: Sequence[Mapping[str, object]] = [
        {"person_id": PERSON, "video_id": video, "frame": frame, "score": 1.0, "landmarks": points.tolist()}
        for frame in range(START, END)
    ]
    kinds = [("person_id", pa.string()), ("video_id", pa.string()), ("frame", pa.int32()), ("score", pa.float32()),
             ("landmarks", pa.list_(pa.float32(), 136))]  # fmt: skip
    write_table(path, pa.Table.from_pylist(list(rows), schema=pa.schema(kinds)))


def _write_images(folder: Path, film: Path) -> None:
    folder.mkdir(parents=True)
    with av.open(str(film)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            Image.fromarray(frame.to_ndarray(format="rgb24")).save(folder / f"{number:07d}.png")


def _rewrite(pattern: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def rewrite(folder: Path) -> None:
        for path in folder.glob(pattern):
            path.write_bytes(change(path.read_bytes()))

    return rewrite


def _of_a_small_table(rewrite: Callable[[bytes], bytes], data: bytes) -> bytes:
    return rewrite(b"a,b\n")


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
