"""Stage `root`: refuse a data root that leads elsewhere from here than from the project."""

from pathlib import Path
from typing import Annotated

from typer import Option

from pipeline.options import ParamsFile
from pipeline.params.tree import Params, load_params
from pipeline.run_stage import run_stage
from pipeline.store.provenance import write_text


def run(params: Params, out: Path) -> None:
    """Write that the root is good; the same words for every root, so that no other root makes this file another."""
    params.data.root_folder()
    write_text(out, "From here data.root leads to the folder that it leads to from the project.\n")


def main(
    out: Annotated[Path, Option(help="file that says that the root is good")],
    params: ParamsFile = Path("params.yaml"),
) -> None:
    """Check data.root before DVC looks below it: in a copy of the project a relative one may lead elsewhere."""
    run(load_params(params), out)


if __name__ == "__main__":
    run_stage(main, outs=("out",))
