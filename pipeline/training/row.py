"""Train one row of the tables: its files around one run, and what is said meanwhile."""

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, cast

import torch

from model.heads.head import load_head
from model.method.files import save_model
from model.training.compiled import lacking
from model.training.launched import launched, leads, own_device
from model.training.loop import Losses
from model.training.replicas import Replicas, joined, replicas
from model.training.resume import warn
from pipeline.console import say
from pipeline.method_table import OURS
from pipeline.params.recipe import Recipe
from pipeline.params.sections.base import Section
from pipeline.store.seeds import keep_seeds, seed_folder
from pipeline.training.counted import Counted
from pipeline.training.inputs import TrainInputs
from pipeline.training.observers import Guarded, Logged, Observers, Pictured, Report, Reported
from pipeline.training.run import Statistics, follow_run, train_run
from pipeline.training.speed import SPEED
from pipeline.training.underway import Observer, Underway

BY_DEVICE = "by_device"
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
    statistics: str = BY_DEVICE,
    previews_every: int = 0,
    compiling: bool = True,
    costs: Path | None = None,
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
        statistics: what BatchNorm normalises by where processes share a batch: `share`, each by its own pairs, `batch`,
            all by the whole, or `by_device`, which is `batch` on CUDA and `share` on the CPU.
        previews_every: steps between two contact sheets beside the run's states; 0 makes none.
        compiling: on CUDA, whether the parts of `model.training.compiled` are compiled; nothing is on the CPU, where it
            takes longer than it saves. A run may go on with the other choice.
        costs: file for what it cost (`pipeline.store.costs`).

    Returns:
        The training curve.

    Raises:
        FileNotFoundError: an input or the perceptual backbone's weights are missing.
        TrainingCollapsed: nothing is learned any more (`pipeline.training.collapse`).
        TrainingDiverged: a loss is not finite.
        ValueError: the fits are of another head, or the clips of another size than `recipe.image_px`.
    """
    check_folder(out)
    device = own_device(device)
    job = (row, guidance, recipe, network, inputs, device, method, chosen_statistics(statistics, device))
    learns_from_rival = getattr(network.losses, "adversarial", 1.0) > 0
    with team_of(recipe, device, job) as team, progress(row, recipe.iterations, shown=team.leads) as report:

        def observe(run: Underway) -> Observers:
            say(f"{row}: states and {SPEED} of the run lie in {run.folder}")
            seen: list[Observer] = [Logged(run, out), Guarded(run, learns_from_rival), Reported(report)]
            if previews_every:
                seen.append(Pictured(run, previews_every))
            if costs is not None:
                seen.append(Counted(run, costs, team.count))
            return Observers(seen)

        compiled = compiles(compiling, device)
        made, provenance, curve = train_run(team, *job, observe if team.leads else None, compiled)
        if team.leads:
            save_model(out, method, made, load_head(inputs.head), recipe.iterations, provenance)
        if launched():  # a launcher ends all when one leaves; those that were started here have left by themselves
            team.wait()
    return curve


def chosen_statistics(name: str, device: torch.device) -> Statistics:
    """Turn the option `--statistics` into what a run does.

    Raises:
        ValueError: there is no such choice.
    """
    if name not in (BY_DEVICE, "share", "batch"):
        raise ValueError(f"--statistics {name}: expected {BY_DEVICE}, share or batch")
    if name == BY_DEVICE:
        return "batch" if device.type == "cuda" else "share"
    return cast(Statistics, name)


def compiles(wanted: bool, device: torch.device) -> bool:
    """Turn the option `--compile` into what a run does; a GPU whose machine cannot compile is warned of."""
    if not wanted or device.type != "cuda":
        return False
    lacks = lacking()
    if lacks and leads():
        warn(f"training is not compiled, and slower: {lacks}; --no-compile says so beforehand")
    return not lacks


def team_of(recipe: Recipe, device: torch.device, job: tuple[Any, ...]) -> AbstractContextManager[Replicas]:
    """The processes that train a row: those that a launcher started, else as many as the recipe says on the CPU."""
    if launched():
        return joined(device)
    return replicas(recipe.run.cpu_processes if device.type == "cpu" else 1, follow_run, *job)


def check_folder(out: Path) -> None:
    """Refuse a folder that cannot be written before the training rather than after it.

    Raises:
        PermissionError: the message names the folder.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            return
    except OSError as error:
        raise PermissionError(f"the folder of the model, {out}, cannot be written ({error.strerror})") from error


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
    statistics: str = BY_DEVICE,
    previews_every: int = 0,
    compiling: bool = True,
    costs: Path | None = None,
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
        statistics: as of `train_row`.
        previews_every: as of `train_row`.
        compiling: as of `train_row`.
        costs: as of `train_row`, of the first seed.

    Returns:
        The first seed's training curve.
    """
    seeds = recipe.seeds(count)
    if leads():
        keep_seeds(out, seeds[1:])
    curves: list[list[Losses]] = []
    for seed in seeds:
        if count > 1 and leads():
            say(f"{row}: seed {seed}, {len(curves) + 1} of {count}")
        folder = seed_folder(out, seed, seeds[0])
        job = (row, guidance, recipe.of_seed(seed), network, inputs, folder, device)
        how = (method, statistics, previews_every, compiling, None if curves else costs)
        curves.append(train_row(*job, *how))
    return curves[0]


@contextmanager
def progress(label: str, total: int, shown: bool = True) -> Iterator[Report]:
    """Show progress, if at all: a bar on a terminal, a plain line every 50 steps elsewhere."""
    if not shown:
        yield lambda _step, _losses: None
        return
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
    """What the players descend; a lesson without a rival has the generator alone."""
    return "  ".join(f"{player} {losses[player]:.3f}" for player in ("generator", "discriminator") if player in losses)
