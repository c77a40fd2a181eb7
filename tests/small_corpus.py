"""Numbered videos with annotations, landmarks and a head, and the stages `crop` and `fit` run on them."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
from ruamel.yaml import YAML

from model.heads.arrays import save_head
from pipeline.store.schema import vector, write_table
from tests.helpers import ROOT, random_head
from tests.videos import write_track, write_video

BOX = (100, 60, 160, 200)  # X Y W H in the 360-high frame
FRAME_HW = (180, 320)
HEAD = "bumpy_sphere"


def add_video(root: Path, number: int, frames: int, folder: str = "vox1") -> None:
    """Add a video with one annotated clip; odd ones are of training people."""
    video = f"v{number:03d}"
    write_video(root / folder / "videos" / f"{video}.mp4", frames, size_hw=FRAME_HW)
    write_track(root / folder / "txt" / person(number) / video / "00001.txt", [BOX] * frames)


def person(number: int) -> str:
    return f"id{number // 2:05d}" + ("t" if number % 2 else "e")


def make_corpus(root: Path, videos: int, frames: int = 20) -> Path:
    """Write everything that both stages read; returns the parameter file.

    The second data set has a training person only, so that none of its clips is asked for.
    """
    for number in range(videos):
        add_video(root, number, frames)
    add_video(root, 1, frames, "vox2")
    write_people(root, range(videos))
    write_people(root, [1], "vox2")
    _write_landmarks(root, videos, frames)
    save_head(root / "heads" / f"{HEAD}.npz", random_head(seed=3))
    (root / "forgotten.txt").write_text("")
    yaml = YAML()
    params = yaml.load((ROOT / "tests" / "data" / "small.yaml").read_text())
    for section in ("model", "bench"):
        params[section].update(head=HEAD)
    params["data"].update(root=str(root))
    params["data"]["first"].update(folder="vox1", watch="vox1")
    params["data"]["watch_second"] = "vox2"
    params["data"]["second"].update(folder="vox2", kind="voxceleb1")
    params["crop"].update(size_px=32)
    params["crop"]["tube"].update(min_size_px=40)
    params["fit"].update(tracker="landmarks", max_fail_rate=1.0, max_residual=10.0)
    with (root / "params.yaml").open("w") as stream:
        yaml.dump(params, stream)
    return root / "params.yaml"


def write_people(root: Path, numbers: Iterable[int], folder: str = "vox1") -> None:
    """List the people of these videos."""
    people = sorted({person(number) for number in numbers})
    splits = ["train" if name.endswith("t") else "test" for name in people]
    write_table(root / folder / "people.parquet", pa.table({"person": people, "split": splits}))


def _write_landmarks(root: Path, videos: int, frames: int) -> None:
    rng = np.random.default_rng(0)
    points = 60 + 60 * rng.random((videos * frames, 136))
    rows = [(person(v), f"v{v:03d}", i) for v in range(videos) for i in range(frames)]
    columns = dict(zip(("person_id", "video_id", "frame"), map(list, zip(*rows, strict=True)), strict=True))
    columns["frame"] = pa.array(columns["frame"], pa.int32())
    columns["score"] = pa.array(np.ones(len(rows), np.float32))
    columns["landmarks"] = pa.array(points.astype(np.float32).tolist(), vector(136))
    for folder in ("vox1", "vox2"):
        write_table(root / folder / "landmarks.parquet", pa.table(columns))


def crop_arguments(root: Path, out: Path) -> list[str]:
    """Arguments of `python -m stages.crop`."""
    return ["--params", f"{root}/params.yaml", "--forgotten", f"{root}/forgotten.txt", "--out", f"{out}/clips"]


def fit_arguments(root: Path, out: Path) -> list[str]:
    """Arguments of `python -m stages.fit`."""
    folders = ["--clips", f"{out}/clips", "--heads", f"{root}/heads", "--out", f"{out}/fits/{HEAD}"]
    return ["--params", f"{root}/params.yaml", "--head", HEAD, *folders, "--report", f"{out}/fits/{HEAD}/report.json"]


def digests(folder: Path) -> dict[str, str]:
    """Hash of every file below a folder but the scratch stores."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    found = {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    return {name: digest for name, digest in found.items() if not name.startswith("data/scratch")}
