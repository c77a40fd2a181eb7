"""Stage `baseline@NAME`: the models of a published system, from each source that `bench.baselines` names."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.options import DeviceName, Fits, Heads, ParamsFile, PreviewsEvery
from pipeline.params.tree import Params, load_params
from pipeline.run_stage import run_stage


def run(
    params: Params,
    system: str,
    *,
    clips: Path,
    fits_dir: Path,
    heads: Path,
    out: Path,
    device: str,
    previews_every: int = 0,
) -> None:
    """Write a model into `out/<source>` for each source, and `out/rows.json`: which rows there are, and why not."""
    from pipeline.published.models import Workshop

    Workshop(params, clips, fits_dir, heads, device, previews_every).write_models(system, out)


def main(
    system: Annotated[str, typer.Option(help="name of the published system")],
    out: Annotated[Path, typer.Option(help="folder of its models, one a source")],
    clips: Annotated[Path, typer.Option(help="folder of packed clips")] = Path("data/clips"),
    fits_dir: Fits = Path("data/fits"),
    heads: Heads = Path("data/heads"),
    params: ParamsFile = Path("params.yaml"),
    device: DeviceName = "auto",
    previews_every: PreviewsEvery = 0,
) -> None:
    """Bring the models of a published system, released or trained here, into the form of all models."""
    folders = {"clips": clips, "fits_dir": fits_dir, "heads": heads, "out": out}
    run(load_params(params), system, **folders, device=device, previews_every=previews_every)


if __name__ == "__main__":
    run_stage(main, outs=("out",), scratch=True)
