"""Stage `report`: Tables 1-3, every cell in long form, what `dvc plots` draws, and one page with all of it."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.options import Fits, PairList, ParamsFile, Results, TestClips
from pipeline.params.tree import Params, load_params
from pipeline.run_stage import run_stage


def run(
    params: Params, *, results: Path, pairs: Path, clips: Path, fits_dir: Path, paper: Path, reference: Path,
    costs: Path, out: Path,
) -> None:  # fmt: skip
    """Write `out/tables/*`, `out/plots/*`, `out/fit/*` and `out/index.html`; figures are read from below `out`."""
    from pipeline.own.frames import scored_rows
    from pipeline.report.report import write_report
    from pipeline.report.rows import all_rows, published_rows
    from pipeline.store.provenance import write_text

    for head in (params.bench.head, params.bench.head2):
        for kind in ("json", "md"):
            write_text(out / "fit" / f"{head}.{kind}", (fits_dir / head / f"report.{kind}").read_text())
    own = scored_rows(results)
    rows = all_rows(params.bench, params.model, bool(params.bench.corpora), own, published_rows(results))
    write_report(params, rows, results=results, pairs=pairs, ledger=clips / "ledger.parquet", paper=paper,
                 reference=reference, fit_reports=out / "fit", figures=out / "figures", costs=costs, out=out,
                 own=own)  # fmt: skip


def main(
    out: Annotated[Path, typer.Option(help="folder of this benchmark's reports")],
    results: Results = Path("data/results"),
    pairs: PairList = Path("data/pairs.parquet"),
    clips: TestClips = Path("data/clips/eval"),
    fits_dir: Fits = Path("data/fits"),
    paper: Annotated[Path, typer.Option(help="the paper's numbers")] = Path("reports/paper.csv"),
    reference: Annotated[Path, typer.Option(help="studies that footers quote")] = Path("reports/reference"),
    costs: Annotated[Path, typer.Option(help="folder of what trained rows cost")] = Path("data/costs"),
    params: ParamsFile = Path("params.yaml"),
) -> None:
    """Write the tables, the plot data, the fit reports and the page; figures are read from `out/figures`."""
    run(load_params(params), results=results, pairs=pairs, clips=clips, fits_dir=fits_dir, paper=paper,
        reference=reference, costs=costs, out=out)  # fmt: skip


if __name__ == "__main__":
    run_stage(main, outs=("out",))
