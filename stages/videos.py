"""Stage `videos@corpus`: render one corpus of procedural talking heads."""

from pathlib import Path
from typing import Annotated

from typer import Option

from pipeline.options import CORES, LocalWorkers, ParamsFile
from pipeline.params.puppets import PuppetParams
from pipeline.params.tree import load_params
from pipeline.run_stage import run_stage


def run(params: PuppetParams, corpus: str, out: Path, *, workers: int) -> None:
    """Write the corpus's videos, annotations, labels and truth below `out`."""
    from pipeline.puppets.corpus import write_corpus

    write_corpus(params, corpus, out, workers)


def main(
    corpus: Annotated[str, Option(help="a key of puppets.corpora")],
    out: Annotated[Path, Option(help="folder of the corpus")],
    params: ParamsFile = Path("params.yaml"),
    workers: LocalWorkers = CORES,
) -> None:
    """Render talking heads to real videos in VoxCeleb's layout, with known truth."""
    run(load_params(params).puppets, corpus, out, workers=workers)


if __name__ == "__main__":
    run_stage(main, outs=("out",), scratch=True)
