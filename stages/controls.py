"""Stage `controls`: score what needs no method, the yardsticks of every table."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.options import DeviceName, Heads, PairList, ParamsFile, TestClips
from pipeline.params.tree import Params, load_params
from pipeline.run_stage import run_stage
from pipeline.store.compute.devices import device_named


def run(params: Params, *, clips: Path, heads: Path, pairs: Path, out: Path, device: str) -> None:
    """Write predictions.arrow, scores.parquet and features/ of each control row into its folder in `out`."""
    from pipeline.bench.opening import EvaluateInputs
    from pipeline.controls.yardsticks import evaluate_controls

    evaluate_controls(params, EvaluateInputs(clips=clips, heads=heads, pairs=pairs), out, device_named(device))


def main(
    out: Annotated[Path, typer.Option(help="folder of the results, one folder a control row")],
    clips: TestClips = Path("data/clips/eval"),
    heads: Heads = Path("data/heads"),
    pairs: PairList = Path("data/pairs.parquet"),
    params: ParamsFile = Path("params.yaml"),
    device: DeviceName = "auto",
) -> None:
    """Score copies of a given image, the ground truth and, on puppets, the true reenactment."""
    run(load_params(params), clips=clips, heads=heads, pairs=pairs, out=out, device=device)


if __name__ == "__main__":
    run_stage(main, outs=("out",), scratch=True)
