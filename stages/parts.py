"""Stage `parts`: part labels of the training clips, where a method of this profile learns from them."""

from pathlib import Path
from typing import Annotated

from typer import Option

from pipeline.methods.release import OFFICIAL
from pipeline.options import ParamsFile
from pipeline.params.tree import Params, load_params
from pipeline.run_stage import run_stage


def run(params: Params, clips: Path, out: Path) -> None:
    """Write the labels of the packed training clips, or why there are none."""
    from pipeline.parts.bring import bring_parts

    recipes = [source for source in params.bench.baselines if source != OFFICIAL]
    methods = [method for recipe in recipes for method in params.networks[recipe].needing_parts()]
    root = params.data.root_folder()
    sources = {source.name: root / source.folder for source in params.data.sources().values()}
    bring_parts(clips, sources, methods, out)


def main(
    out: Annotated[Path, Option(help="Arrow file to write")],
    clips: Annotated[Path, Option(help="folder of packed clips whose frames are labelled")] = Path("data/clips/train"),
    params: ParamsFile = Path("params.yaml"),
) -> None:
    """Bring the data set's own part labels along with its clips."""
    run(load_params(params), clips, out)


if __name__ == "__main__":
    run_stage(main, outs=("out",))
