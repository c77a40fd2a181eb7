"""Stage `crop`: cut the clips out of the videos and pack them."""

import os
from pathlib import Path
from typing import Annotated

from typer import Option

from pipeline.console import run_command
from pipeline.data_params import CropParams, DataParams
from pipeline.params import load_params


def run(
    out: Path, data: DataParams, crop: CropParams, *, workers: int, scheduler: str | None, clip_timeout_s: float
) -> None:
    """List the clips of both data sets, crop them and write `out`/train and `out`/eval."""
    from pipeline.pack import crop_all
    from pipeline.provenance import scratch_dir
    from pipeline.sources import list_clips

    crop_all(
        list_clips(data, crop.tube),
        out,
        crop,
        scratch_dir("crop", "clips"),
        workers=workers,
        scheduler=scheduler,
        clip_timeout_s=clip_timeout_s,
    )


def main(
    out: Annotated[Path, Option(help="folder of the packed clips")],
    params: Annotated[Path, Option(help="parameter file")] = Path("params.yaml"),
    workers: Annotated[int, Option(envvar="PWM_WORKERS", help="local processes; 0 works in this one")] = (
        os.cpu_count() or 1
    ),
    scheduler: Annotated[str | None, Option(envvar="PWM_SCHEDULER", help="address of a Dask scheduler")] = None,
    clip_timeout_s: Annotated[float, Option(help="a clip that takes longer is given up")] = 300.0,
) -> None:
    """Cut, resize and pack the clips of both data sets."""
    everything = load_params(params)
    run(
        out,
        everything.data,
        everything.crop,
        workers=workers,
        scheduler=scheduler,
        clip_timeout_s=clip_timeout_s,
    )


if __name__ == "__main__":
    run_command(main)
