"""Stage `crop`: cut the clips out of the videos and pack them."""

from pathlib import Path
from typing import Annotated

from typer import Option

from pipeline.options import (
    CORES,
    LANDMARKS,
    ClipTimeout,
    Forgotten,
    FoundLandmarks,
    ParamsFile,
    Retry,
    Retrying,
    Workers,
)
from pipeline.params.tree import Params, load_params
from pipeline.run_stage import run_stage


def run(
    params: Params,
    out: Path,
    forgotten: Path,
    *,
    workers: int,
    clip_timeout_s: float,
    retry: Retrying,
    landmarks: Path = LANDMARKS,
) -> None:
    """List the clips of both data sets, crop them and write `out`/train and `out`/eval."""
    from pipeline.cropping.pack import crop_all
    from pipeline.sources.forgotten import ForgottenList
    from pipeline.sources.listing import list_clips
    from pipeline.store.scratch_root import scratch_dir

    crop_all(
        ForgottenList.read(forgotten).leave_out(list_clips(params.data, params.crop.tube, landmarks)),
        out,
        params.crop,
        scratch_dir("crop", "clips"),
        workers=workers,
        scheduler=params.dask.scheduler,
        clip_timeout_s=clip_timeout_s,
        retry_failed=retry == "failed",
    )


def main(
    out: Annotated[Path, Option(help="folder of the packed clips")],
    forgotten: Forgotten,
    params: ParamsFile = Path("params.yaml"),
    workers: Workers = CORES,
    clip_timeout_s: ClipTimeout = 300.0,
    retry: Retry = "missing",
    landmarks: FoundLandmarks = LANDMARKS,
) -> None:
    """Cut, resize and pack the clips of both data sets; a run that was killed goes on where it stopped."""
    run(
        load_params(params), out, forgotten,
        workers=workers, clip_timeout_s=clip_timeout_s, retry=retry, landmarks=landmarks,
    )  # fmt: skip


if __name__ == "__main__":
    run_stage(main, outs=("out",), scratch=True)
