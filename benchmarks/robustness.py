"""What the data stages survive, and how their time and memory grow.

    python -m benchmarks.robustness                          # all parts, about eight minutes on two cores
    python -m benchmarks.robustness --part index --part fuzz

Writes reports/benchmarks/robustness.{json,md}; parts that are not run keep their last result, and each says what made
it. `index`: FOMM's whole csv without a single video. `fuzz`: damaged files and annotations (benchmarks/fuzz.py), and
what is brought in as weights, predictions or a data folder (benchmarks/fuzz_{weights,predictions,folders}.py).
`scale`: the stages crop and fit over ever more copies of one tiny clip: seconds, CPU seconds of all processes, and the
memory of the stage and of its largest worker, without the pages of mapped files.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
from ruamel.yaml import YAML

from benchmarks.fuzz import FUZZ_CROP, make_cases, survive
from benchmarks.fuzz_folders import fuzz_folders
from benchmarks.fuzz_predictions import fuzz_predictions
from benchmarks.fuzz_weights import fuzz_weights
from benchmarks.robustness_page import STAGES, TINY_FRAMES, TINY_PX, markdown
from benchmarks.timing import environment
from pipeline.cropping.pack import crop_all
from pipeline.params.data import SourceParams
from pipeline.params.tree import load_params
from pipeline.puppets.corpus import write_corpus
from pipeline.sources.listing import list_source
from pipeline.store.provenance import ROOT, write_json, write_text
from pipeline.store.schema import read_table
from pipeline.work.ledger import TooManyFailures

OUT = Path("reports/benchmarks/robustness")
SAMPLE_EVERY_S = 0.1
INPUTS = {"weights": fuzz_weights, "predictions": fuzz_predictions, "folders": fuzz_folders}


def measure_index(csv: Path, folder: Path) -> dict[str, Any]:
    """List FOMM's csv beside an empty folder of videos and write the ledger of all its rows."""
    (folder / "set" / "videos").mkdir(parents=True)
    shutil.copyfile(csv, folder / "set" / "boxes.csv")
    form = {"kind": "fomm_csv", "annotations": "boxes.csv", "videos": "videos", "split": "listed"}
    source = SourceParams.model_validate({"name": "VoxCeleb1", "folder": "set", "watch": "set", **form})
    begun, cpu = time.perf_counter(), time.process_time()
    clips = list_source(source, folder, FUZZ_CROP.tube, "data.first")
    listed = time.perf_counter()
    try:
        crop_all(clips, folder / "clips", FUZZ_CROP, folder / "s", workers=0, scheduler=None, clip_timeout_s=10)
    except TooManyFailures:  # every clip is missing, which is the point; the ledgers are written
        seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    ledgers = [read_table(folder / "clips" / part / "ledger.parquet") for part in ("train", "eval")]
    reasons = Counter(reason for ledger in ledgers for reason in ledger["reason"].to_pylist())
    return {"rows": reasons.total(), "reasons": dict(reasons), "list_seconds": round(listed - begun, 2),
            "seconds": round(seconds, 2), "cpu_seconds": round(cpu, 2)}  # fmt: skip


def measure_fuzz(cases: int, seed: int, real: list[Path], folder: Path) -> dict[str, Any]:
    """Crop damaged files and annotations in two workers, ten seconds a try and at most three tries a clip.

    And bring in weights, predictions and data folders of every kind.
    """
    inputs = measure_inputs(seed, folder / "inputs")
    made = make_cases(folder / "films", cases, seed, real)
    begun = time.perf_counter()
    found = survive(folder / "films", made, workers=2, clip_timeout_s=10.0)
    by_fault: dict[str, dict[str, int]] = {}
    for (fault, reason), count in sorted(found.reasons.items()):
        by_fault.setdefault(fault, {})[reason] = count
    reasons: Counter[str] = Counter()
    for (_, reason), count in found.reasons.items():
        reasons[reason] += count
    return {"cases": cases + inputs["cases"], "films": cases, "inputs": inputs, "seed": seed,
            "real_videos": len(real), "seconds": round(time.perf_counter() - begun, 1),
            "ledger_rows": reasons.total(), "reasons": dict(sorted(reasons.items())), "by_fault": by_fault,
            "unaccounted": found.unaccounted, "frames_lost_silently": found.lost_frames,
            "wrong_frames": found.wrong_frames, "crashed": found.crashed}  # fmt: skip


def measure_inputs(seed: int, folder: Path) -> dict[str, Any]:
    """Bring in weights, predictions and data folders, one verdict a case."""
    begun, verdicts = time.perf_counter(), []
    for name, fuzz in INPUTS.items():
        (folder / name).mkdir(parents=True)
        verdicts += list(fuzz(folder / name, seed))
    by_fault: dict[str, dict[str, int]] = {}
    for one in verdicts:
        outcomes = by_fault.setdefault(f"{one.part}: {one.fault}", {})
        outcomes[one.outcome] = outcomes.get(one.outcome, 0) + 1
    return {"cases": len(verdicts), "seconds": round(time.perf_counter() - begun, 1), "by_fault": by_fault,
            "silent": [one.silent for one in verdicts if one.silent]}  # fmt: skip


def measure_scale(crop_sizes: list[int], fit_sizes: list[int], folder: Path) -> dict[str, Any]:
    """Run the stages crop and fit over growing numbers of tiny clips, as commands of their own."""
    params = load_params(ROOT / "params.yaml")
    corpus = params.puppets.corpora["puppets1"].model_copy(update={"train_people": 0, "test_people": 1})
    small = {"frames": TINY_FRAMES, "frame_sizes": [(TINY_PX, TINY_PX)], "corpora": {"one": corpus}}
    tiny = params.puppets.model_copy(update=small)
    write_corpus(tiny, "one", folder / "one", 0)
    rows: dict[str, list[dict[str, float]]] = {stage: [] for stage in STAGES}
    for count in sorted({*crop_sizes, *fit_sizes}):
        work = folder / str(count)
        settings = _many(folder / "one", work, count)
        listed = ["--forgotten", str(ROOT / "profiles" / "forgotten.txt")]
        crop = ["stages.crop", "--out", "clips", "--params", str(settings), *listed]
        rows["crop"].append({"clips": count, **_run_stage(work, crop)})
        if count in fit_sizes:
            heads = ROOT / "pipeline" / "puppets" / "assets"
            paths = ["--clips", "clips", "--heads", str(heads), "--out", "fits", "--report", "fits/report.json"]
            fit = ["stages.fit", "--head", "puppet", *paths, "--params", str(settings)]
            rows["fit"].append({"clips": count, **_run_stage(work, fit)})
        print(json.dumps({stage: found[-1] for stage, found in rows.items() if found}), flush=True)
        shutil.rmtree(work)
    return rows


def _many(one: Path, work: Path, count: int) -> Path:
    """Lay out `count` links to one video as an annotation tree, and parameters that crop and fit it."""
    (video,) = (one / "videos").iterdir()
    (track,) = (one / "txt").glob("*/*/*.txt")
    for name, copies in (("many", count), ("few", 1)):
        (work / name / "videos").mkdir(parents=True)
        for i in range(copies):
            os.link(video, work / name / "videos" / f"v{i:05d}.mp4")
            annotation = work / name / "txt" / track.parts[-3] / f"v{i:05d}" / track.name
            annotation.parent.mkdir(parents=True)
            os.link(track, annotation)
    yaml = YAML()
    tree = yaml.load((ROOT / "params.yaml").read_text())
    tree["data"]["root"] = str(work)
    for key, name in (("first", "many"), ("second", "few")):
        tree["data"][key] |= {"kind": "voxceleb1", "folder": name, "split": "test"}
    tree["data"]["first"]["watch"], tree["data"]["watch_second"] = "many", "few"
    tree["crop"]["tube"] |= {"min_frames": TINY_FRAMES // 2, "min_size_px": TINY_PX // 4}
    tree["fit"]["max_fail_rate"] = 0.9
    path = work / "params.yaml"
    with path.open("w") as file:
        yaml.dump(tree, file)
    return path


def _run_stage(work: Path, command: list[str]) -> dict[str, float]:
    """Run one stage below `work`: seconds, CPU seconds of all its processes, and largest memory in MB."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "DVC_ROOT": str(work)}
    begun, cpu = time.perf_counter(), _cpu_of_the_ended()
    peak = {"stage_mb": 0.0, "worker_mb": 0.0}
    with (work / "log").open("w") as log:
        process = psutil.Popen([sys.executable, "-m", *command], cwd=work, env=env, stdout=log, stderr=log)
        while process.poll() is None:
            for name, found in (("stage_mb", [process]), ("worker_mb", _children(process))):
                peak[name] = max([peak[name], *map(_own_mb, found)])
            time.sleep(SAMPLE_EVERY_S)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{(work / 'log').read_text()[-2000:]}")
    spent = {"seconds": time.perf_counter() - begun, "cpu_seconds": _cpu_of_the_ended() - cpu}
    return {name: round(value, 1) for name, value in {**spent, **peak}.items()}


def _cpu_of_the_ended() -> float:
    """CPU seconds of all processes that this one started and that ended, theirs included."""
    times = os.times()
    return times.children_user + times.children_system


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _own_mb(process: psutil.Process) -> float:
    """Memory that the process holds for itself: pages of mapped clips, which the system may drop, are not counted."""
    try:
        memory = process.memory_info()
        return (memory.rss - getattr(memory, "shared", 0)) / 2**20  # psutil knows the share on Linux only
    except psutil.NoSuchProcess:
        return 0.0


def main(
    part: Annotated[list[str] | None, typer.Option(help="index, fuzz or scale; repeat it for several")] = None,
    csv: Annotated[Path, typer.Option(help="FOMM's crop table")] = Path("../shared/data/voxceleb/vox-metadata.csv"),
    real: Annotated[Path, typer.Option(help="folder of real videos to damage as well")] = Path(
        "../shared/data/voxceleb2_samples"
    ),
    cases: Annotated[int, typer.Option(help="damaged files and annotations")] = 405,
    crop_clips: Annotated[str, typer.Option(help="clips to crop")] = "100,1000,2000,10000",
    fit_clips: Annotated[str, typer.Option(help="clips to fit as well")] = "100,1000,2000",
    out: Annotated[Path, typer.Option(help="report without its suffix")] = OUT,
) -> None:
    """Measure and write the report."""
    to_crop, to_fit = ([int(size) for size in text.split(",") if size] for text in (crop_clips, fit_clips))
    videos = sorted(real.rglob("*.mp4"))[:3]
    measures: dict[str, Callable[[Path], Any]] = {
        "index": lambda folder: measure_index(csv, folder),
        "fuzz": lambda folder: measure_fuzz(cases, 1, videos, folder),
        "scale": lambda folder: measure_scale(to_crop, to_fit, folder),
    }
    if unknown := set(part or ()) - set(measures):
        raise typer.BadParameter(f"unknown part {min(unknown)!r}: choose {', '.join(measures)}")
    path = out.with_suffix(".json")
    report = json.loads(path.read_text()) if path.exists() else {}
    report |= environment("benchmarks.robustness", 2)
    for name in part or measures:
        made = environment("benchmarks.robustness", 2)
        with tempfile.TemporaryDirectory() as folder:
            report[name] = {"environment": made, **measures[name](Path(folder))}
    write_json(path, report)
    write_text(out.with_suffix(".md"), markdown(report))
    typer.echo(markdown(report))


if __name__ == "__main__":
    typer.run(main)
