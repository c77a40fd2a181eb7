"""Stage `fit@head`: fit one 3-D head to every frame, and report how well."""

from pathlib import Path
from typing import Annotated

from typer import Option

from pipeline.options import (
    CORES,
    LANDMARKS,
    ClipTimeout,
    DeviceName,
    FoundLandmarks,
    Heads,
    PackedClips,
    ParamsFile,
    Retry,
    Retrying,
    Workers,
)
from pipeline.params.data import FACES_SOUGHT
from pipeline.params.tree import Params, load_params
from pipeline.run_stage import run_stage
from pipeline.store.compute.devices import device_named


def run(
    params: Params,
    head: Path,
    clips: Path,
    out: Path,
    report: Path,
    *,
    workers: int,
    clip_timeout_s: float,
    retry: Retrying,
    device: str,
    landmarks: Path = LANDMARKS,
) -> None:
    """Write `out`/train.parquet, `out`/eval.parquet and the report (.json and .md)."""
    from model.heads.head import load_head
    from pipeline.fitting.report import write_fit_report
    from pipeline.fitting.run import FitWork, check_fail_rate, fit_clips

    data = params.data
    root = data.root_folder()
    folders = {
        source.name: landmarks / source.name if source.kind == FACES_SOUGHT else root / source.folder
        for source in data.sources().values()
    }
    work = FitWork(workers, params.dask.scheduler, clip_timeout_s, retry_failed=retry == "failed")
    counts = fit_clips(params.fit_of(head.stem), head, clips, folders, out, work, device_named(device))
    write_fit_report(report, load_head(head), out, clips, folders)
    check_fail_rate(counts, params.fit.max_fail_rate)


def main(
    head: Annotated[str, Option(help="name of a head below --heads")],
    clips: PackedClips,
    heads: Heads,
    out: Annotated[Path, Option(help="folder of the fits")],
    report: Annotated[Path, Option(help="JSON report; a Markdown page of the same name stands beside it")],
    params: ParamsFile = Path("params.yaml"),
    workers: Workers = CORES,
    clip_timeout_s: ClipTimeout = 14400.0,
    retry: Retry = "missing",
    device: DeviceName = "auto",
    landmarks: FoundLandmarks = LANDMARKS,
) -> None:
    """Fit one head to the frames of all clips; a run that was killed goes on where it stopped."""
    file = heads / f"{head}.npz"
    run(
        load_params(params), file, clips, out, report,
        workers=workers, clip_timeout_s=clip_timeout_s, retry=retry, device=device,
        landmarks=landmarks,
    )  # fmt: skip


if __name__ == "__main__":
    run_stage(main, outs=("out", "report"), scratch=True)
