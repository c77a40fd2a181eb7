"""Stage `evaluate@method`: generate all pairs of all data sets and tasks with one method, and score them."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.console import run_command, say
from pipeline.params import Params, load_params
from pipeline.rows import control_rows, pwm_rows, row_named

CONTROLS = "controls"


def run(
    params: Params,
    method: str,
    *,
    clips: Path,
    heads: Path,
    fits_dir: Path,
    pairs: Path,
    models: Path,
    out: Path,
    imported: bool = False,
    device: str = "cpu",
) -> None:
    """Write predictions.arrow, scores.parquet and features.parquet below `out` (a folder each for controls)."""
    import numpy as np

    from pipeline.evaluate import Scorer, control_frames
    from pipeline.metrics.protocols import Opening
    from pipeline.metrics.readings import Readings
    from pipeline.metrics.registry import open_measures
    from pipeline.pair_frames import load_pair_frames
    from pipeline.provenance import scratch_dir
    from pipeline.threads import workers_on

    loaded, hashes = load_pair_frames(pairs, clips)
    bench = params.bench
    both = (bench.head, bench.head2)
    opening = Opening({name: heads / f"{name}.npz" for name in both}, params.fit.min_score, device)
    measures = open_measures(params.metrics, both, loaded.size_hw, opening)
    for measure in measures:
        if measure.reason:
            say(f"{measure.id}: no number ({measure.reason})")
    readings = Readings(scratch_dir("readings", hashes.pairs_sha256), params.evaluate.batch_size, workers_on(device))
    scorer = Scorer(loaded, hashes, measures, readings)
    scorer.read_references()

    if method == CONTROLS:
        for row in control_rows(bool(bench.corpora)):
            chosen = loaded.select(np.isin(loaded.task, row.tasks))
            if row.key == "true_reenactment":
                from pipeline.puppets.reenact import true_reenactment

                frames = true_reenactment(params.puppets, chosen, clips)
            else:
                frames = control_frames(row.key, chosen)
            scorer.save_and_score(row.key, row.tasks, frames, out / row.key)
        return
    if imported:
        scorer.score_saved(method, ("same", "cross"), out)
        return
    from pipeline.generate import RowRunner, generate

    row = row_named(method, pwm_rows(bench, params.model))
    runner = RowRunner(models / row.key, heads / f"{row.head}.npz", fits_dir / row.head / "eval.parquet", device)
    scorer.save_and_score(row.key, row.tasks, generate(runner, loaded, params.evaluate.batch_size), out)


def main(
    method: Annotated[str, typer.Option(help="a row's key, or `controls`")],
    out: Annotated[Path, typer.Option(help="results folder of this method")],
    clips: Annotated[Path, typer.Option(help="evaluation clips")] = Path("data/clips/eval"),
    heads: Annotated[Path, typer.Option(help="folder of heads")] = Path("data/heads"),
    fits_dir: Annotated[Path, typer.Option(help="folder of fits, one folder a head")] = Path("data/fits"),
    pairs: Annotated[Path, typer.Option(help="the pair list")] = Path("data/pairs.parquet"),
    models: Annotated[Path, typer.Option(help="folder of trained rows")] = Path("data/models"),
    params: Annotated[Path, typer.Option(help="parameter file")] = Path("params.yaml"),
    imported: Annotated[bool, typer.Option("--imported", help="score the predictions.arrow already in --out")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda or auto")] = "auto",
) -> None:
    """Generate and score every pair with one method."""
    if device == "auto":
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
    run(load_params(params), method, clips=clips, heads=heads, fits_dir=fits_dir, pairs=pairs, models=models,
        out=out, imported=imported, device=device)  # fmt: skip


if __name__ == "__main__":
    run_command(main)
