"""Stage `weights`: the hashes of the imported assets that each stage uses under the current parameters."""

from pathlib import Path
from typing import Annotated

from typer import Option

from pipeline.options import ParamsFile
from pipeline.params.tree import Params, load_params
from pipeline.run_stage import run_stage


def run(params: Params, out: Path) -> None:
    """Write one JSON file a consumer into `out`."""
    from pipeline.weights.collect import write_weights

    write_weights(params, out)


def main(
    out: Annotated[Path, Option(help="folder of the hashes, one file a consumer")],
    params: ParamsFile = Path("params.yaml"),
) -> None:
    """Check the assets in use against assets.lock.json, and let DVC see them."""
    run(load_params(params), out)


if __name__ == "__main__":
    run_stage(main, outs=("out",))
