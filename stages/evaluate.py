"""Stage `evaluate@method`: generate all pairs of all data sets and tasks with one method, and score them."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.console import run_command
from pipeline.params.tree import Params, load_params
from pipeline.store.devices import device_named


def run(
    params: Params, method: str, *, clips: Path, heads: Path, fits_dir: Path, pairs: Path, models: Path, out: Path,
    imported: bool, device: str,
) -> None:  # fmt: skip
    """Write predictions.arrow, scores.parquet and features/ into `out`."""
    from pipeline.bench.evaluate import EvaluateInputs, evaluate_imported, evaluate_row

    inputs = EvaluateInputs(clips=clips, heads=heads, pairs=pairs)
    if imported:
        evaluate_imported(params, method, inputs, out, device_named(device))
    else:
        evaluate_row(params, method, inputs, models, fits_dir, out, device_named(device))


def main(
    method: Annotated[str, typer.Option(help="a folder of --models, or with --imported any name")],
    out: Annotated[Path, typer.Option(help="results folder of this method")],
    clips: Annotated[Path, typer.Option(help="evaluation clips")] = Path("data/clips/eval"),
    heads: Annotated[Path, typer.Option(help="folder of heads")] = Path("data/heads"),
    fits_dir: Annotated[Path, typer.Option(help="folder of fits, one folder a head")] = Path("data/fits"),
    pairs: Annotated[Path, typer.Option(help="the pair list")] = Path("data/pairs.parquet"),
    models: Annotated[Path, typer.Option(help="folder of trained rows")] = Path("data/models"),
    params: Annotated[Path, typer.Option(help="parameter file")] = Path("params.yaml"),
    imported: Annotated[bool, typer.Option("--imported", help="score the predictions.arrow already in --out")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda or auto")] = "auto",
) -> None:
    """Generate and score every pair with one method."""
    run(
        load_params(params), method, clips=clips, heads=heads, fits_dir=fits_dir, pairs=pairs, models=models, out=out,
        imported=imported, device=device,
    )  # fmt: skip


if __name__ == "__main__":
    run_command(main)
