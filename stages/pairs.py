"""Stage `pairs`: draw the one list of test pairs that every method is measured on."""

from pathlib import Path
from typing import Annotated

from typer import Option

from pipeline.bench.pairs import FITTED, draw_pairs
from pipeline.console import say
from pipeline.options import ParamsFile, TestClips
from pipeline.params.data import PairParams
from pipeline.params.tree import load_params
from pipeline.run_stage import run_stage
from pipeline.store.schema import INDEX, metadata_of, read_table, write_table


def run(clips: Path, fits: list[Path], out: Path, params: PairParams) -> None:
    """Draw pairs among the frames of `clips` whose fit is ok in all tables of `fits`, and write them."""
    tables = [read_table(path, columns=FITTED) for path in fits]
    table, shortages = draw_pairs(read_table(clips / "index.parquet", INDEX), tables, params)
    for shortage in shortages:
        say(f"pairs: {shortage}")
    if table.num_rows == 0:
        raise RuntimeError(
            f"no pair can be drawn from {clips}: no frame has an ok fit in all of {list(map(str, fits))}"
        )
    facts = {"seed": str(params.seed), "shortages": "; ".join(shortages)}
    write_table(out, table, {**metadata_of(table), **facts})
    say(f"pairs: {table.num_rows} pairs, sha256 {metadata_of(table)['sha256'][:12]}")


def main(
    clips: TestClips,
    fits: Annotated[list[Path], Option(help="fits of those clips; give it once a head")],
    out: Annotated[Path, Option(help="Parquet file to write")],
    params: ParamsFile = Path("params.yaml"),
) -> None:
    """Draw the test pairs of every data set, same and cross identity."""
    run(clips, fits, out, load_params(params).pairs)


if __name__ == "__main__":
    run_stage(main, outs=("out",))
