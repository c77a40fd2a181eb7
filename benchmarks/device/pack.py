"""The packed set of the reference runs: `python -m benchmarks.device.pack`, on any machine with the whole project.

Renders puppets, cuts and fits them by the stages' own code, and keeps what training and scoring read: clips, fits,
heads and part labels, in the stores' own formats. Some minutes on two cores at the default size.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from ruamel.yaml import YAML

from benchmarks.device.settings import HEAD, SECOND
from pipeline.console import say
from pipeline.options import CORES
from pipeline.params.tree import ParamsError, load_params
from pipeline.store.provenance import ROOT, commit, sha256_file, versions, write_json

LARGEST_MIB = 55.0  # what device machines take along
CORPUS = "reference"
HEADS = (HEAD, SECOND)


def parameters(folder: Path, size_px: int, frames: int, train_people: int, test_people: int, texture_px: int) -> Path:
    """Write params.yaml of one small corpus below a folder."""
    yaml = YAML()
    tree = yaml.load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    corpora = tree["puppets"]["corpora"]
    one = {**next(iter(corpora.values())), "train_people": train_people, "test_people": test_people}
    tree["puppets"].update(frames=frames, texture_size=texture_px, corpora={CORPUS: one})
    tree["bench"].update(corpora=[CORPUS], baselines=[tree["bench"]["recipe"]])  # so that part labels come along
    tree["data"].update(root=str(folder), heads="heads", second=None)
    tree["data"]["first"].update(folder=f"videos/{CORPUS}", watch=f"videos/{CORPUS}")
    tree["crop"].update(size_px=size_px)
    tree["crop"]["tube"].update(min_frames=frames // 2)  # videos of 30 frames a second are shorter
    path = folder / "params.yaml"
    with path.open("w", encoding="utf-8") as stream:
        yaml.dump(tree, stream)
    try:
        load_params(path)
    except ParamsError as error:
        raise typer.BadParameter(str(error)) from error
    return path


def run_stages(folder: Path, params: Path, workers: int) -> None:
    """Render, cut and fit."""
    workers_option = ["--workers", str(workers)]
    heads = folder / "heads"
    heads.mkdir()
    for head in HEADS:
        shutil.copyfile(ROOT / "pipeline" / "puppets" / "assets" / f"{head}.npz", heads / f"{head}.npz")
    forgotten = folder / "forgotten.txt"
    forgotten.write_text("")
    clips, labels = folder / "clips", folder / "parts" / "train.arrow"
    stages: list[tuple[str, list[str]]] = [
        ("videos", ["--corpus", CORPUS, "--out", str(folder / "videos" / CORPUS), *workers_option]),
        ("crop", ["--out", str(clips), "--forgotten", str(forgotten), *workers_option]),
        ("parts", ["--clips", str(clips / "train"), "--out", str(labels)]),
    ]
    for head in HEADS:
        fits = folder / "fits" / head
        places = [
            "--clips",
            str(clips),
            "--heads",
            str(heads),
            "--out",
            str(fits),
            "--report",
            str(fits / "report.json"),
        ]
        stages.append(("fit", ["--head", head, *places, *workers_option]))
    for stage, options in stages:
        say(f"pack: {stage}")
        command = [sys.executable, "-m", f"stages.{stage}", "--params", str(params), *options]
        subprocess.run(command, cwd=ROOT, check=True)


def keep(folder: Path, out: Path, params: Path) -> float:
    """Copy what the runs read into a new folder `out`; returns its size in MiB."""
    for split in ("train", "eval"):
        shutil.copytree(folder / "clips" / split, out / "clips" / split)
        for head in HEADS:
            (out / "fits" / head).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / "fits" / head / f"{split}.parquet", out / "fits" / head / f"{split}.parquet")
    for name in ("heads", "parts"):
        shutil.copytree(folder / name, out / name)
    files = [path for path in sorted(out.rglob("*")) if path.is_file()]
    settings = load_params(params)
    made_from = {
        "commit": commit(),
        "versions": versions(),
        "crop": settings.crop.model_dump(mode="json"),
        "puppets": settings.puppets.model_dump(mode="json"),
        "files": {path.relative_to(out).as_posix(): sha256_file(path) for path in files},
    }
    write_json(out / "set.json", made_from)
    return sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) / 2**20


def main(
    out: Annotated[Path, typer.Option(help="folder of the set; it must not exist")] = Path("device_set"),
    size_px: Annotated[int, typer.Option(help="side of the clips")] = 256,
    frames: Annotated[int, typer.Option(help="of each video, at 25 per second")] = 30,
    train_people: Annotated[int, typer.Option(help="who are trained on")] = 40,
    test_people: Annotated[int, typer.Option(help="who are held out; their clips are lossless")] = 8,
    texture_px: Annotated[int, typer.Option(help="side of the puppets' textures")] = 768,
    workers: Annotated[int, typer.Option(help="processes")] = CORES,
) -> None:
    """Make the packed set, at most 55 MiB."""
    if out.exists():
        raise typer.BadParameter(f"{out} is there already: remove it, or choose another --out")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        params = parameters(folder, size_px, frames, train_people, test_people, texture_px)
        run_stages(folder, params, workers)
        size = keep(folder, folder / "set", params)
        if size > LARGEST_MIB:
            raise typer.BadParameter(
                f"the set has {size:.1f} MiB, more than {LARGEST_MIB:.0f}: fewer people or frames, please"
            )
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(folder / "set", out)
    say(f"pack: {out} has {size:.1f} MiB")


if __name__ == "__main__":
    typer.run(main)
