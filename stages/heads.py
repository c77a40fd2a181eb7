"""Stage `heads`: bring the two 3-D heads of the benchmark into one form."""

from pathlib import Path
from typing import Annotated

from typer import Option

from pipeline.options import ParamsFile
from pipeline.params.tree import load_params
from pipeline.run_stage import run_stage


def run(names: list[str], folder: Path, out: Path) -> None:
    """Write `out`/<name>.npz for every name, from the release files in `folder`."""
    from pipeline.heads.bring import write_heads

    write_heads(names, folder, out)


def main(
    out: Annotated[Path, Option(help="folder of the heads")],
    params: ParamsFile = Path("params.yaml"),
) -> None:
    """Import bench.head and bench.head2 from the folder data.root / data.heads."""
    everything = load_params(params)
    run([everything.bench.head, everything.bench.head2], everything.data.root_folder() / everything.data.heads, out)


if __name__ == "__main__":
    run_stage(main, outs=("out",))
