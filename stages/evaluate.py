"""Stage `evaluate@method`: generate all pairs of all data sets and tasks with one method, and score them."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.method_table import BASELINES
from pipeline.options import DeviceName, Fits, Heads, Models, PairList, ParamsFile, TestClips
from pipeline.params.tree import Params, load_params
from pipeline.run_stage import run_stage
from pipeline.store.compute.devices import device_named


def run(
    params: Params, method: str, *, clips: Path, heads: Path, fits_dir: Path, pairs: Path, models: Path, out: Path,
    imported: bool, device: str,
) -> None:  # fmt: skip
    """Write predictions.arrow, scores.parquet and features/ into `out`; of further seeds into `out/seeds/<seed>`.

    Of a published system they lie in `out/<source>`, and `out/rows.json` says which rows there are.
    """
    from pipeline.methods.published import read_rows, write_rows

    published = method in BASELINES and not imported
    if published:
        rows = read_rows(models / method)
        if all(row.absent for row in rows):
            return write_rows(out, rows)  # before anything heavy is imported
    from pipeline.bench.evaluate import evaluate_imported, evaluate_published, evaluate_row
    from pipeline.bench.opening import EvaluateInputs

    inputs, where = EvaluateInputs(clips=clips, heads=heads, pairs=pairs), device_named(device)
    if imported:
        return evaluate_imported(params, method, inputs, out, where)
    evaluate = evaluate_published if published else evaluate_row
    return evaluate(params, method, inputs, models, fits_dir, out, where)


def main(
    method: Annotated[str, typer.Option(help="a folder of --models, or with --imported any name")],
    out: Annotated[Path, typer.Option(help="results folder of this method")],
    clips: TestClips = Path("data/clips/eval"),
    heads: Heads = Path("data/heads"),
    fits_dir: Fits = Path("data/fits"),
    pairs: PairList = Path("data/pairs.parquet"),
    models: Models = Path("data/models"),
    params: ParamsFile = Path("params.yaml"),
    imported: Annotated[bool, typer.Option("--imported", help="score the predictions.arrow already in --out")] = False,
    device: DeviceName = "auto",
) -> None:
    """Generate and score every pair with one method."""
    run(
        load_params(params), method, clips=clips, heads=heads, fits_dir=fits_dir, pairs=pairs, models=models, out=out,
        imported=imported, device=device,
    )  # fmt: skip


if __name__ == "__main__":
    run_stage(main, outs=("out",), scratch=True)
