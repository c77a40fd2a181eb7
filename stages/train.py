"""train: clips and fits -> the trained model of one row (paper sections 3.2 to 3.4)."""

from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.console import say
from pipeline.options import Compiling, CostsFile, DeviceName, Heads, ParamsFile, PreviewsEvery
from pipeline.params.recipe import split_row
from pipeline.params.tree import Params, load_params
from pipeline.run_stage import run_stage
from pipeline.store.compute.devices import device_named


def run(
    row: str,
    params: Params,
    *,
    clips: Path,
    fits: Path,
    heads: Path,
    out: Path,
    device: str,
    statistics: str = "by_device",
    previews_every: int = 0,
    compiling: bool = True,
    costs: Path | None = None,
) -> None:
    """Train the row `recipe.head.guidance` with `heads`/<head>.npz and write its model, or each seed's, into `out`."""
    recipe_name, head_name, guidance = split_row(row)
    if recipe_name not in params.recipes:
        raise ValueError(f"row {row!r}: there is no recipe {recipe_name!r}; recipes has {', '.join(params.recipes)}")
    from model.training.launched import leads
    from pipeline.training.inputs import TrainInputs
    from pipeline.training.row import train_seeds

    inputs = TrainInputs(clips=clips, fits=fits, head=heads / f"{head_name}.npz")
    recipe, network = params.recipes[recipe_name], params.networks[recipe_name].pwm
    place, count = device_named(device), params.bench.seeds
    job = (row, guidance, recipe, network, inputs, out, place, count)
    how: dict[str, Any] = {
        "statistics": statistics,
        "previews_every": previews_every,
        "compiling": compiling,
        "costs": costs,
    }
    curve = train_seeds(*job, **how)
    if not leads():
        return
    say(f"train: {row} (head {head_name}) finished at step {curve[-1]['step']:.0f} -> {out}")


def main(
    row: Annotated[str, typer.Option(help="row key: recipe.head.guidance")],
    fits: Annotated[Path, typer.Option(help="fits of the training clips with the row's head")],
    out: Annotated[Path, typer.Option(help="folder of the trained model")],
    clips: Annotated[Path, typer.Option(help="folder of packed training clips")] = Path("data/clips/train"),
    heads: Heads = Path("data/heads"),
    params: ParamsFile = Path("params.yaml"),
    device: DeviceName = "auto",
    statistics: Annotated[
        str,
        typer.Option(help="BatchNorm's, where processes share a batch: of each `share`, of the `batch`, or by_device"),
    ] = "by_device",
    previews_every: PreviewsEvery = 0,
    compiling: Compiling = True,
    costs: CostsFile = None,
) -> None:
    """Train one row of the tables; a run that was killed resumes from its last checkpoint.

    Several GPUs or machines: torchrun --nproc-per-node N -m stages.train ...
    """
    files = {"clips": clips, "fits": fits, "heads": heads, "out": out}
    run(
        row,
        load_params(params),
        **files,
        device=device,
        statistics=statistics,
        previews_every=previews_every,
        compiling=compiling,
        costs=costs,
    )


if __name__ == "__main__":
    run_stage(main, outs=("out",), scratch=True)
