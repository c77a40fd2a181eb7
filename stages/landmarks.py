"""Stage `landmarks`: find the person in videos that come without landmarks."""

from pathlib import Path
from typing import Annotated

from typer import Option

from pipeline.options import CORES, Forgotten, ParamsFile, Retry, Retrying, Workers
from pipeline.params.tree import Params, load_params
from pipeline.run_stage import run_stage


def run(params: Params, out: Path, forgotten: Path, *, workers: int, video_timeout_s: float, retry: Retrying) -> None:
    """Look at the videos of every data set that says nothing about faces."""
    from pipeline.landmarks.run import LandmarkWork, find_landmarks
    from pipeline.sources.forgotten import ForgottenList

    work = LandmarkWork(workers, params.dask.scheduler, video_timeout_s, retry_failed=retry == "failed")
    find_landmarks(params.data, out, ForgottenList.read(forgotten), work)


def main(
    out: Annotated[Path, Option(help="folder of the landmarks, a folder a data set")],
    forgotten: Forgotten,
    params: ParamsFile = Path("params.yaml"),
    workers: Workers = CORES,
    video_timeout_s: Annotated[float, Option(help="a video that takes longer is given up")] = 14400.0,
    retry: Retry = "missing",
) -> None:
    """Find faces and landmarks where none are given; a run that was killed goes on where it stopped."""
    run(load_params(params), out, forgotten, workers=workers, video_timeout_s=video_timeout_s, retry=retry)


if __name__ == "__main__":
    run_stage(main, outs=("out",), scratch=True)
