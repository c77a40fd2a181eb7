"""Stage `headline`: the metrics of the row that `model` names, for `dvc metrics show` and `dvc exp show`."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.options import PairList, ParamsFile, Results
from pipeline.params.tree import Params, load_params
from pipeline.run_stage import run_stage


def run(params: Params, method: str, *, results: Path, pairs: Path, out: Path) -> None:
    """Write metrics.json: row, then data set, task and metric; a metric that could not run is null."""
    from pipeline.report.headline import headline_metrics
    from pipeline.report.results import Pairs
    from pipeline.report.rows import pwm_rows, row_named
    from pipeline.store.provenance import write_json

    row = row_named(method, pwm_rows(params.bench, params.model))
    write_json(out, headline_metrics(row, results, Pairs(pairs), params.bench.head2))


def main(
    method: Annotated[str, typer.Option(help="key of the row")],
    out: Annotated[Path, typer.Option(help="the metrics.json to write")],
    results: Results = Path("data/results"),
    pairs: PairList = Path("data/pairs.parquet"),
    params: ParamsFile = Path("params.yaml"),
) -> None:
    """Write the selected row's metrics."""
    run(load_params(params), method, results=results, pairs=pairs, out=out)


if __name__ == "__main__":
    run_stage(main, outs=("out",))
