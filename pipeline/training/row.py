"""Train one row of the tables: its files around one run, and what is said meanwhile."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from model.heads.head import load_head
from model.method.files import save_model
from model.training.loop import Losses
from model.training.replicas import replicas
from pipeline.console import say
from pipeline.method_table import OURS
from pipeline.params.networks import Section
from pipeline.params.recipe import Recipe
from pipeline.store.seeds import keep_seeds, seed_folder
from pipeline.training.observers import Guarded, Logged, Observers, Pictured, Report, Reported
from pipeline.training.run import TrainInputs, follow_run, train_run
from pipeline.training.speed import SPEED
from pipeline.training.underway import Observer, Underway

LINE_EVERY = 50  # steps between two lines of progress where there is no terminal


def train_row(
    row: str,
    guidance: str,
    recipe: Recipe,
    network: Section,
    inputs: TrainInputs,
    out: Path,
    device: torch.device,
    method: str = OURS,
    previews_every: int = 0,
) -> list[Losses]:
    """Train a row and write `weights.safetensors`, `config.json` and, while it goes on, `curve.csv` into `out`.

    A run that was killed resumes, and a finished one is only written out again (`pipeline.training.run`).

    Args:
        row: key of the row, for messages and provenance.
        guidance: which of the method's rows: of the PWM's a key of `model.pwm.config.GUIDANCE_PARTS`, else empty.
        recipe: what the row shares with other methods.
        network: what is the method's own.
        inputs: files.
        out: folder of the trained model.
        device: where to train.
        method: whose network and lesson.
        previews_every: steps between two contact sheets beside the run's states; 0 makes none.

    Returns:
        The training curve.

    Raises:
        FileNotFoundError: an input or the perceptual backbone's weights are missing.
        TrainingCollapsed: nothing is learned any more (`pipeline.training.collapse`).
        TrainingDiverged: a loss is not finite.
        ValueError: the fits are of another head, or the clips of another size than `recipe.image_px`.
    """
    count = recipe.run.cpu_processes if device.type == "cpu" else 1
    job = (row, guidance, recipe, network, inputs, device, method)
    has_rival = getattr(network.losses, "adversarial", 0.0) > 0
    with replicas(count, follow_run, *job) as team, progress(row, recipe.iterations) as report:

        def observe(run: Underway) -> Observers:
            say(f"{row}: states and {SPEED} of the run lie in {run.folder}")
            seen: list[Observer] = [Logged(run, out), Guarded(run, has_rival), Reported(report)]
            return Observers([*seen, Pictured(run, previews_every)] if previews_every else seen)

        made, provenance, curve = train_run(team, *job, observe)
    save_model(out, method, made, load_head(inputs.head), recipe.iterations, provenance)
    return curve


def train_seeds(
    row: str,
    guidance: str,
    recipe: Recipe,
    network: Section,
    inputs: TrainInputs,
    out: Path,
    device: torch.device,
    count: int,
    method: str = OURS,
    previews_every: int = 0,
) -> list[Losses]:
    """Train a row with several seeds: the recipe's own into `out`, those after it into `out/seeds/<seed>`.

    Each is a training of its own, as of a recipe with that seed, and resumes on its own; all else that depends on the
    seed changes with it: initial weights, order of pairs, augmentation.

    Args:
        row: key of the row.
        guidance: which of the method's rows: of the PWM's a key of `model.pwm.config.GUIDANCE_PARTS`, else empty.
        recipe: what the row shares with other methods.
        network: what is the method's own.
        inputs: files.
        out: folder of the trained model; what an earlier run left there of other seeds goes.
        device: where to train.
        count: how many seeds.
        method: whose network and lesson.
        previews_every: steps between two contact sheets beside a run's states; 0 makes none.

    Returns:
        The first seed's training curve.
    """
    seeds = recipe.seeds(count)
    keep_seeds(out, seeds[1:])
    curves: list[list[Losses]] = []
    for seed in seeds:
        if count > 1:
            say(f"{row}: seed {seed}, {len(curves) + 1} of {count}")
        folder = seed_folder(out, seed, seeds[0])
        job = (row, guidance, recipe.of_seed(seed), network, inputs, folder, device)
        curves.append(train_row(*job, method, previews_every))
    return curves[0]


@contextmanager
def progress(label: str, total: int) -> Iterator[Report]:
    """Show progress: a bar on a terminal, a plain line every 50 steps elsewhere."""
    if not sys.stderr.isatty():
        yield _line_reporter(label, total)
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task(label, total=total)

        def report(step: int, losses: Losses) -> None:
            bars.update(bar, completed=step, description=f"{label}  {_brief(losses)}")

        yield report


def _line_reporter(label: str, total: int) -> Report:
    mark = [time.monotonic(), 0]

    def report(step: int, losses: Losses) -> None:
        if step % LINE_EVERY and step != total:
            return
        now = time.monotonic()
        rate = (step - mark[1]) / (now - mark[0])
        say(f"{label}: step {step}/{total}  {_brief(losses)}  {rate:.1f} steps/s")
        mark[:] = now, step

    return report


def _brief(losses: Losses) -> str:
    return f"generator {losses['generator']:.3f}  discriminator {losses['discriminator']:.3f}"
