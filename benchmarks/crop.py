"""Measure cropping against FOMM's way: `python -m benchmarks.crop` writes reports/benchmarks/crop.{json,md}.

FOMM's way (video-preprocessing, load_videos.py): imageio reads every frame of a video, scikit-image crops and
resizes it with anti-aliasing, frames are kept as PNG, one process a video. Ours: `pipeline.cropping.clip.crop_clip` in
the workers of `pipeline.work.dask_run`, and the same function in a plain pool of processes. All three make the same
clips with the same number of workers, in turn, in one run; FOMM's way once, in the middle, because it is slow. Rates
count from the moment when every worker has finished a clip, so that nobody's start-up counts; they are given with it as
well.
"""

import multiprocessing
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import psutil
import typer

from benchmarks.footage import moving_frames, write_mp4
from pipeline.cropping.clip import CropTask, crop_clip
from pipeline.params.tree import load_params
from pipeline.sources.boxes import TubeBox
from pipeline.sources.request import ClipRequest
from pipeline.store.provenance import write_json, write_text
from pipeline.work.dask_run import run

SIZE_PX, FRAME_HW = 256, (720, 1280)
BOX = (240.0, 60.0, 390.0, 230.0)  # left, top, right, bottom of the face's track, in a 360-high frame
WAYS = {"fomm": "FOMM's way", "pool": "ours, plain pool of processes", "dask": "ours, Dask"}
NEEDS = ("imageio", "skimage")
GOALS = {"fomm": 5.0, "pool": 0.9}  # how fast Dask has to be, as a multiple of these
RATES = {"frames_per_second": "frames/s", "with_start_up": "with start-up", "per_cpu_second": "frames a CPU second"}


def make_tasks(root: Path, clips: int, frames: int, params: Path) -> list[CropTask]:
    """Write one video a clip and plan its crop with the profile's settings, for training, at 256 px."""
    crop = load_params(params).crop.model_copy(update={"size_px": SIZE_PX})
    footage = moving_frames(frames, FRAME_HW, 0)
    tasks = []
    for number in range(clips):
        path = root / "videos" / f"v{number:03d}.mp4"
        if number == 0:
            write_mp4(path, footage, key_every=frames)
        else:
            shutil.copyfile(root / "videos" / "v000.mp4", path)
        request = ClipRequest(
            clip=f"p#v{number:03d}#000000#{frames:06d}", dataset="D", split="train", person="p", video=f"v{number:03d}",
            start=0, end=frames, box=TubeBox(BOX, "height360"), path=path, min_frames=1,
        )  # fmt: skip
        tasks.append(CropTask.plan(request, crop, root / "scratch"))
    return tasks


def crop_like_fomm(task: CropTask) -> tuple[str, str]:
    """Crop a clip with imageio and scikit-image and keep its frames as PNG files."""
    import imageio.v3 as iio
    from skimage.transform import resize
    from skimage.util import img_as_ubyte

    folder = task.scratch / "fomm" / task.request.video
    folder.mkdir(parents=True, exist_ok=True)
    left, top, right, bottom = task.request.box.place(FRAME_HW[::-1], task.tube)
    end = float("inf") if task.request.end is None else task.request.end
    for number, frame in enumerate(iio.imiter(task.request.path, plugin="pyav")):
        if task.request.start <= number < end:
            image = img_as_ubyte(resize(frame[top:bottom, left:right], (task.size_px,) * 2, anti_aliasing=True))
            iio.imwrite(folder / f"{number:07d}.png", image)
    return "ok", ""


def in_pool(
    function: Callable[[CropTask], tuple[str, str]], tasks: list[CropTask], workers: int
) -> Iterator[tuple[str, str]]:
    """Results of a plain pool, as they finish."""
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        for future in as_completed([pool.submit(function, task) for task in tasks]):
            yield future.result()


def in_dask(tasks: list[CropTask], workers: int) -> Iterator[tuple[str, str] | None]:
    """Results of the pipeline's own way to run tasks."""
    for outcome in run(crop_clip, tasks, workers=workers, scheduler=None, timeout_s=300):
        yield outcome.value


def timed(results: Iterator[tuple[str, str] | None], workers: int, frames: int) -> dict[str, float]:
    """Frames a second once every worker is warm, by the clock and by CPU time of all processes; and of the whole."""
    begun, done, warm, cpu_warm = time.perf_counter(), 0, 0.0, 0.0
    for result in results:
        assert result is not None
        assert result[0] == "ok", result
        done += 1
        end, cpu_end = time.perf_counter(), _cpu_seconds()
        if done == workers:
            warm, cpu_warm = end, cpu_end
    whole = time.perf_counter() - begun
    return {
        "frames_per_second": frames * (done - workers) / (end - warm),
        "with_start_up": frames * done / whole,
        "per_cpu_second": frames * (done - workers) / (cpu_end - cpu_warm),
    }


def _cpu_seconds() -> float:
    """CPU time so far of this process and of all workers there are."""
    me = psutil.Process()
    return sum(sum(process.cpu_times()[:2]) for process in (me, *me.children(recursive=True)))


def measure(tasks: list[CropTask], workers: int, frames: int, turns: int) -> dict[str, object]:
    """Rates of all ways, in turn."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in WAYS}
    missing = [name for name in NEEDS if find_spec(name) is None]
    ways = {
        "pool": lambda fresh: in_pool(crop_clip, fresh, workers),
        "dask": lambda fresh: in_dask(fresh, workers),
        "fomm": lambda fresh: in_pool(crop_like_fomm, fresh, workers),
    }
    for turn in range(turns):
        for name, way in ways.items():
            if name == "fomm" and (missing or turn != turns // 2):
                continue
            fresh = [replace(task, scratch=task.scratch / str(turn)) for task in tasks]
            found[name].append(timed(way(fresh), workers, frames))
            shutil.rmtree(fresh[0].scratch)
    return {
        "runs": found,
        "ratios": {name: ratios(found["dask"], found[name]) for name in GOALS},
        "reason": f"{' and '.join(missing)} not installed" if missing else "",
    }


def ratios(ours: list[dict[str, float]], theirs: list[dict[str, float]]) -> dict[str, float] | None:
    """How many times our rates are theirs: median over turns, or quotient of medians where theirs has fewer turns."""
    if not theirs:
        return None
    if len(ours) != len(theirs):
        return {rate: _median(ours, rate) / _median(theirs, rate) for rate in RATES}
    return {rate: statistics.median(a[rate] / b[rate] for a, b in zip(ours, theirs, strict=True)) for rate in RATES}


def _median(runs: list[dict[str, float]], rate: str) -> float:
    return statistics.median(run[rate] for run in runs)


def page(report: dict) -> str:
    """The report as Markdown."""
    from benchmarks.timing import heading, table

    rows = [[title, *(_spread(report["runs"][name], rate) for rate in RATES)] for name, title in WAYS.items()]
    lines = [
        *heading("Cropping", report),
        f"{report['clips']} clips of {report['frames']} frames, {FRAME_HW[1]}x{FRAME_HW[0]} px, to {SIZE_PX} px, "
        f"{report['workers']} workers. Median (smallest to largest) of {report['turns']} turns; FOMM's way has one.",
        "",
        *table(["way", *RATES.values()], rows),
        "",
    ]
    header = ["Dask to", *RATES.values(), "goal for frames/s"]
    cells = []
    for name, goal in GOALS.items():
        found = report["ratios"][name]
        shown = [f"- ({report['reason']})"] * len(RATES) if found is None else [f"{found[r]:.2f}" for r in RATES]
        cells.append([WAYS[name], *shown, f"at least {goal:g}"])
    return "\n".join([*lines, *table(header, cells)]) + "\n"


def _spread(runs: list[dict[str, float]], rate: str) -> str:
    values = [run[rate] for run in runs]
    if len(values) < 2:
        return f"{values[0]:.1f}" if values else "-"
    return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def main(
    out: Annotated[Path, typer.Option(help="folder of the report")] = Path("reports/benchmarks"),
    params: Annotated[Path, typer.Option(help="parameter file; its section crop counts")] = Path("params.yaml"),
    workers: Annotated[int, typer.Option(help="processes")] = 2,
    clips: Annotated[int, typer.Option(help="clips to make")] = 16,
    frames: Annotated[int, typer.Option(help="frames a clip")] = 75,
    turns: Annotated[int, typer.Option(help="turns of our ways; FOMM's has one")] = 5,
) -> None:
    """Time cropping in three ways."""
    from benchmarks.timing import environment  # here, because every worker imports this module and none needs torch

    report = environment("benchmarks.crop", workers)
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(make_tasks(Path(folder), clips, frames, params), workers, frames, turns)
    report |= {"workers": workers, "clips": clips, "frames": frames, "turns": turns, **measured}
    write_json(out / "crop.json", report)
    write_text(out / "crop.md", page(report))
    typer.echo(page(report))


if __name__ == "__main__":
    typer.run(main)
