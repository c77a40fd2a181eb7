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
    """Write `<row key>.png` for every row that has a model, and `curves.png`, into `out`."""
    from pipeline.bench.generate import PairRunner
    from pipeline.bench.pair_frames import load_pair_frames
    from pipeline.methods.runner import Files
    from pipeline.report.figures import chosen_pairs, contact_sheet, loss_curves, pwm_sheet
    from pipeline.report.rows import baseline_rows, published_rows, pwm_rows

    where = device_named(device)
    loaded, _ = load_pair_frames(pairs, clips)
    shown = loaded.select(chosen_pairs(loaded, params.report.sheet_pairs))
    ours, seeds = pwm_rows(params.bench, params.model), params.bench.seeds
    others = [row for row in baseline_rows(params.bench, published_rows(results)) if not row.absent]
    for row in [*others, *ours]:
        files = Files(models / row.model, heads, fits_dir, params.bench.head)
        runner = PairRunner(files, shown.clips, where, row.own_crop)
        given = row, runner, shown, results / row.results / "predictions.arrow", out / f"{row.key}.png"
        if row.kind == "pwm":
            pwm_sheet(*given, seeds)
        else:
            contact_sheet(*given)
    loss_curves({row.label: models / row.model / "curve.csv" for row in ours}, out / "curves.png", seeds)
    say(f"figures: {len(others) + len(ours)} contact sheets and the curves -> {out}")


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
