"""Stage `evaluate@method`: generate all pairs of all data sets and tasks with one method, and score them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.console import run_command
from pipeline.params import Params, load_params
from pipeline.rows import pwm_rows, row_named

if TYPE_CHECKING:
    from pipeline.evaluate import EvaluateInputs

CONTROLS = "controls"


def run(
    params: Params, method: str, inputs: "EvaluateInputs", *, out: Path, imported: bool = False, device: str = "cpu"
) -> None:
    """Write predictions.arrow, scores.parquet and features.parquet into `out` (a folder each for controls)."""
    row = None if imported or method == CONTROLS else row_named(method, pwm_rows(params.bench, params.model))
    from pipeline.evaluate import evaluate_controls, evaluate_imported, evaluate_row

    if row is not None:
        evaluate_row(params, row, inputs, out, device)
    elif imported:
        evaluate_imported(params, method, inputs, out, device)
    else:
        evaluate_controls(params, inputs, out, device)


def main(
    method: Annotated[str, typer.Option(help="a row's key, or `controls`")],
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
    loaded = load_params(params)
    from pipeline.evaluate import EvaluateInputs

    if device == "auto":
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
    inputs = EvaluateInputs(clips=clips, heads=heads, fits=fits_dir, pairs=pairs, models=models)
    run(loaded, method, inputs, out=out, imported=imported, device=device)


if __name__ == "__main__":
    run_command(main)
