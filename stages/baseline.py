"""Stage `baseline@NAME`: the models of a published system, from each source that `bench.baselines` names."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.options import ParamsFile
from pipeline.params.tree import Params, load_params
from pipeline.run_stage import run_stage


def run(params: Params, system: str, *, out: Path) -> None:
    """Write a model into `out/<source>` for each source, and `out/rows.json`: which rows there are, and why not."""
    from pipeline.released.row import write_models

    write_models(system, params.bench, out)


def main(
    system: Annotated[str, typer.Option(help="name of the published system")],
    out: Annotated[Path, typer.Option(help="folder of its models, one a source")],
    params: ParamsFile = Path("params.yaml"),
) -> None:
    """Bring the models of a published system into the form in which all models lie."""
    run(load_params(params), system, out=out)


if __name__ == "__main__":
    run_stage(main, outs=("out",))
