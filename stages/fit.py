"""Stage `fit@head`: fit one 3-D head to every frame, and report how well."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from typer import Option

from pipeline.console import run_command
from pipeline.fit_params import FitParams
from pipeline.params import load_params


def run(params: FitParams, head: Path, clips: Path, folders: Mapping[str, Path], out: Path, report: Path) -> None:
    """Write `out`/train.parquet, `out`/eval.parquet and the report (.json and .md)."""
    from model.heads.head import load_head
    from pipeline.fit import check_fail_rate, fit_clips
    from pipeline.fit_report import write_fit_report

    model = load_head(head)
    tables = fit_clips(params, model, clips, folders, out)
    write_fit_report(report, model, tables, clips, folders)
    check_fail_rate(tables, params.max_fail_rate)


def main(
    head: Annotated[str, Option(help="name of a head below --heads")],
    clips: Annotated[Path, Option(help="folder of the packed clips")],
    heads: Annotated[Path, Option(help="folder of heads")],
    out: Annotated[Path, Option(help="folder of the fits")],
    report: Annotated[Path, Option(help="JSON report; a Markdown page of the same name stands beside it")],
    params: Annotated[Path, Option(help="parameter file")] = Path("params.yaml"),
) -> None:
    """Fit one head to the frames of all clips."""
    everything = load_params(params)
    sets = (everything.data.first, everything.data.second)
    folders = {source.name: Path(everything.data.root) / source.folder for source in sets}
    run(everything.fit, heads / f"{head}.npz", clips, folders, out, report)


if __name__ == "__main__":
    run_command(main)
