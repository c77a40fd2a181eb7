"""Stage `baseline@NAME`: the models of a published system, from each source that `bench.baselines` names."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.options import Compiling, CostsFile, DataFolder, DeviceName, ParamsFile, PreviewsEvery
from pipeline.params.tree import Params, load_params
from pipeline.run_stage import run_stage


def run(
    params: Params,
    system: str,
    *,
    data: Path,
    out: Path,
    device: str,
    compiling: bool = True,
    previews_every: int = 0,
    costs: Path | None = None,
) -> None:
    """Write a model into `out/<source>` for each source, and `out/rows.json`: which rows there are, and why not."""
    from pipeline.published.models import Workshop

    Workshop(params, data, device, compiling, previews_every).write_models(system, out, costs)


def main(
    system: Annotated[str, typer.Option(help="name of the published system")],
    out: Annotated[Path, typer.Option(help="folder of its models, one a source")],
    data: DataFolder = Path("data"),
    params: ParamsFile = Path("params.yaml"),
    device: DeviceName = "auto",
    compiling: Compiling = True,
    previews_every: PreviewsEvery = 0,
    costs: CostsFile = None,
) -> None:
    """Bring the models of a published system, released or trained here, into the form of all models."""
    places = {"data": data, "out": out}
    run(
        load_params(params),
        system,
        **places,
        device=device,
        compiling=compiling,
        previews_every=previews_every,
        costs=costs,
    )


if __name__ == "__main__":
    run_stage(main, outs=("out",), scratch=True)
