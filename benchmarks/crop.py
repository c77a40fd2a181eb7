"""Measure cropping against FOMM's way: `python -m benchmarks.crop` writes reports/benchmarks/crop.{json,md}.

FOMM's way (video-preprocessing, load_videos.py): imageio reads every frame of a video, scikit-image crops and
resizes it with anti-aliasing, frames are kept as PNG, one process a video. Ours: `pipeline.crop.crop_clip` in the
workers of `pipeline.dask_run`, and the same function in a plain pool of processes. All three make the same clips with
the same number of workers, in turn, in one run. Rates count from the moment when every worker has finished a clip, so
that nobody's start-up counts.
"""

import multiprocessing
import os
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

import typer

from benchmarks.footage import moving_frames, write_mp4
from pipeline.boxes import TubeBox
from pipeline.crop import CropTask, crop_clip
from pipeline.dask_run import run
from pipeline.params import load_params
from pipeline.provenance import commit, versions, write_json, write_text
from pipeline.sources.request import ClipRequest

SIZE_PX, FRAME_HW, ROUNDS = 256, (720, 1280), 3
BOX = (240.0, 60.0, 390.0, 230.0)  # left, top, right, bottom of the face's track, in a 360-high frame
WAYS = {"fomm": "FOMM's way", "pool": "ours, plain pool of processes", "dask": "ours, Dask"}
NEEDS = ("imageio", "skimage")


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
    for number, frame in enumerate(iio.imiter(task.request.path, plugin="pyav")):
        if task.request.start <= number < task.request.end:
            image = img_as_ubyte(resize(frame[top:bottom, left:right], (task.size_px,) * 2, anti_aliasing=True))
            iio.imwrite(folder / f"{number:07d}.png", image)
    return "ok", ""


def in_pool(function: Callable[[CropTask], tuple[str, str]], tasks: list[CropTask], workers: int) -> Iterator[object]:
    """Results of a plain pool, as they finish."""
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        for future in as_completed([pool.submit(function, task) for task in tasks]):
            yield future.result()


def in_dask(tasks: list[CropTask], workers: int) -> Iterator[object]:
    """Results of the pipeline's own way to run tasks."""
    for outcome in run(crop_clip, tasks, workers=workers, scheduler=None, timeout_s=300):
        yield outcome.value


def timed(results: Iterator[object], workers: int, frames: int) -> dict[str, float]:
    """Frames a second once every worker is warm, and of the whole with start-up and end."""
    begun, ends = time.perf_counter(), []
    for result in results:
        assert result[0] == "ok", result
        ends.append(time.perf_counter())
    whole = time.perf_counter() - begun
    return {
        "frames_per_second": frames * (len(ends) - workers) / (ends[-1] - ends[workers - 1]),
        "with_start_up": frames * len(ends) / whole,
    }


def measure(tasks: list[CropTask], workers: int, frames: int) -> dict[str, object]:
    """Rates of all ways, in turn; FOMM's once, because it is slow and steady."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in WAYS}
    missing = [name for name in NEEDS if find_spec(name) is None]
    for turn in range(ROUNDS):
        fresh = [replace(task, scratch=task.scratch / str(turn)) for task in tasks]
        found["pool"].append(timed(in_pool(crop_clip, fresh, workers), workers, frames))
        shutil.rmtree(fresh[0].scratch)
        found["dask"].append(timed(in_dask(fresh, workers), workers, frames))
        shutil.rmtree(fresh[0].scratch)
    if not missing:
        few = tasks[: 3 * workers]
        found["fomm"].append(timed(in_pool(crop_like_fomm, few, workers), workers, frames))
    rate = {name: statistics.median(r["frames_per_second"] for r in runs) for name, runs in found.items() if runs}
    return {
        "runs": found,
        "frames_per_second": rate,
        "dask_to_fomm": rate["dask"] / rate["fomm"] if "fomm" in rate else None,
        "dask_to_pool": rate["dask"] / rate["pool"],
        "reason": f"{' and '.join(missing)} not installed" if missing else "",
    }


def page(result: dict) -> str:
    """The result as Markdown."""
    ratio = result["dask_to_fomm"]
    goals = {"fomm": "", "pool": "", "dask": "at least 5 times FOMM's way and 0.9 times the pool"}
    lines = [
        "# Cropping",
        "",
        f"`{result['command']}`, {result['workers']} workers on {result['cores']} cores, load average before: "
        f"{result['load_before']}. {result['clips']} clips of {result['frames']} frames, {FRAME_HW[1]}x{FRAME_HW[0]} "
        f"px, to {SIZE_PX} px; FOMM's way on as many as make three a worker.",
        "",
        "| way | frames/s | goal |",
        "| --- | ---: | --- |",
    ]
    for name, title in WAYS.items():
        rate = result["frames_per_second"].get(name)
        lines.append(f"| {title} | {'-' if rate is None else f'{rate:.1f}'} | {goals[name]} |")
    said = f"- ({result['reason']})" if ratio is None else f"{ratio:.1f}"
    lines += ["", f"Dask to FOMM's way: {said}. Dask to the plain pool: {result['dask_to_pool']:.2f}."]
    return "\n".join(lines) + "\n"


def main(
    out: Annotated[Path, typer.Option(help="folder of the report")] = Path("reports/benchmarks"),
    params: Annotated[Path, typer.Option(help="parameter file; its section crop counts")] = Path("params.yaml"),
    workers: Annotated[int, typer.Option(help="processes")] = 2,
    clips: Annotated[int, typer.Option(help="clips to make")] = 24,
    frames: Annotated[int, typer.Option(help="frames a clip")] = 75,
) -> None:
    """Time cropping in three ways."""
    load = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(make_tasks(Path(folder), clips, frames, params), workers, frames)
    result = {
        "command": f"python -m benchmarks.crop --workers {workers} --clips {clips} --frames {frames}",
        "commit": commit(),
        "cores": os.cpu_count(),
        "load_before": load,
        "device": "cpu",
        "versions": versions(),
        "workers": workers,
        "clips": clips,
        "frames": frames,
        **measured,
    }
    write_json(out / "crop.json", result)
    write_text(out / "crop.md", page(result))
    typer.echo(page(result))


if __name__ == "__main__":
    typer.run(main)
