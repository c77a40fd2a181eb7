"""Stage `figures`: a contact sheet a row, and the training curves."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.console import say
from pipeline.options import DeviceName, Fits, Heads, Models, PairList, ParamsFile, Results, TestClips
from pipeline.params.tree import Params, load_params
from pipeline.run_stage import run_stage
from pipeline.store.compute.devices import device_named


def run(
    params: Params, *, clips: Path, heads: Path, fits_dir: Path, pairs: Path, models: Path, results: Path, out: Path,
    device: str,
) -> None:  # fmt: skip
    """Write `<row key>.png` for every PWM row and `curves.png` into `out`."""
    from pipeline.bench.generate import RowRunner
    from pipeline.bench.pair_frames import load_pair_frames
    from pipeline.report.figures import chosen_pairs, contact_sheet, loss_curves
    from pipeline.report.rows import pwm_rows

    where = device_named(device)
    loaded, _ = load_pair_frames(pairs, clips)
    shown = loaded.select(chosen_pairs(loaded, params.report.sheet_pairs))
    rows, seeds = pwm_rows(params.bench, params.model), params.bench.seeds
    for row in rows:
        runner = RowRunner(
            models / row.key, heads / f"{row.head}.npz", fits_dir / row.head / "eval.parquet", shown.clips, where
        )
        contact_sheet(row, runner, shown, results / row.results / "predictions.arrow", out / f"{row.key}.png", seeds)
    loss_curves({row.label: models / row.key / "curve.csv" for row in rows}, out / "curves.png", seeds)
    say(f"figures: {len(rows)} contact sheets and the curves -> {out}")


def main(
    out: Annotated[Path, typer.Option(help="folder of figures (git-ignored where they show real people)")],
    clips: TestClips = Path("data/clips/eval"),
    heads: Heads = Path("data/heads"),
    fits_dir: Fits = Path("data/fits"),
    pairs: PairList = Path("data/pairs.parquet"),
    models: Models = Path("data/models"),
    results: Results = Path("data/results"),
    params: ParamsFile = Path("params.yaml"),
    device: DeviceName = "auto",
) -> None:
    """Draw what every row does."""
    run(load_params(params), clips=clips, heads=heads, fits_dir=fits_dir, pairs=pairs, models=models,
        results=results, out=out, device=device)  # fmt: skip


if __name__ == "__main__":
    run_stage(main, outs=("out",))
