"""Stage `own`: score the frames that users brought of their own methods (`pwm score`)."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.options import DeviceName, Heads, PairList, ParamsFile, TestClips
from pipeline.params.tree import Params, load_params
from pipeline.run_stage import run_stage
from pipeline.store.compute.devices import device_named


def run(params: Params, *, clips: Path, heads: Path, pairs: Path, out: Path, device: str) -> None:
    """Write scores of every row of `bench.own` into its folder in `out`, and `rows.json`."""
    from pipeline.bench.opening import EvaluateInputs
    from pipeline.own.score import score_own

    score_own(params, EvaluateInputs(clips=clips, heads=heads, pairs=pairs), out, device_named(device))


def main(
    out: Annotated[Path, typer.Option(help="folder of the results, one folder a row of bench.own")],
    clips: TestClips = Path("data/clips/eval"),
    heads: Heads = Path("data/heads"),
    pairs: PairList = Path("data/pairs.parquet"),
    params: ParamsFile = Path("params.yaml"),
    device: DeviceName = "auto",
) -> None:
    """Score the rows of anybody's own method; with none in `bench.own` there is nothing to do."""
    run(load_params(params), clips=clips, heads=heads, pairs=pairs, out=out, device=device)


if __name__ == "__main__":
    run_stage(main, outs=("out",), scratch=True)
