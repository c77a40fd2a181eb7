"""Train one row of the tables: data, networks and files around `model.training.loop.fit`."""

import csv
import io
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import torch

from model.checkpoint import save_animator
from model.heads.head import HeadModel, load_head
from model.puppet_nets.tracker import load_tracker
from model.pwm.animator import Animator, AnimatorConfig
from model.training.discriminator import Discriminator
from model.training.loop import Losses, TrainingDiverged, fit
from model.training.perceptual import Perceptual, Vgg19
from model.training.replicas import Replicas, replicas
from model.training.resume import CheckpointStore
from pipeline.console import say
from pipeline.params.recipe import PerceptualSection, Recipe
from pipeline.store.devices import key_of
from pipeline.store.provenance import scratch_dir, sha256_file, sha256_sources, sha256_text, write_text
from pipeline.training.augment import recolour, recrop
from pipeline.training.dataset import Batch, PairDataset
from pipeline.training.loader import batches_ahead

LINE_EVERY = 50  # steps between two lines of progress where there is no terminal
Report = Callable[[int, Losses], None]


@dataclass(frozen=True)
class TrainInputs:
    """Files that a row is trained from.

    Attributes:
        clips: folder of packed training clips.
        fits: fits of these clips with the row's head.
        head: the head's .npz.
    """

    clips: Path
    fits: Path
    head: Path


def train_row(
    row: str, guidance: str, recipe: Recipe, inputs: TrainInputs, out: Path, device: torch.device
) -> list[Losses]:
    """Train a row and write `weights.safetensors`, `config.json` and `curve.csv` into `out`.

    Checkpoints lie in a scratch folder keyed by all that the result depends on (recipe, guidance, head,
    fits, clips, code, kind of device), so a run that was killed resumes and a finished one is only written out again.

    Args:
        row: key of the row, for messages and provenance.
        guidance: a key of `model.pwm.config.GUIDANCE_PARTS`.
        recipe: everything else.
        inputs: files.
        out: folder of the trained model.
        device: where to train.

    Returns:
        The training curve.

    Raises:
        FileNotFoundError: an input or the perceptual backbone's weights are missing.
        ValueError: the fits are of another head, or the clips of another size than `recipe.image_px`.
    """
    count = recipe.run.cpu_processes if device.type == "cpu" else 1
    job = (row, guidance, recipe, inputs, device)
    with replicas(count, _follow, *job) as team, progress(row, recipe.iterations) as report:
        animator, provenance, curve = _train(team, *job, report)
    save_animator(out, animator, recipe.iterations, provenance)
    write_text(out / "curve.csv", curve_csv(curve))
    return curve


def _follow(team: Replicas, row: str, guidance: str, recipe: Recipe, inputs: TrainInputs, device: torch.device) -> None:
    """Train beside the first process, which says what went wrong."""
    with suppress(TrainingDiverged):
        _train(team, row, guidance, recipe, inputs, device, lambda _step, _losses: None)


def _train(
    team: Replicas, row: str, guidance: str, recipe: Recipe, inputs: TrainInputs, device: torch.device, report: Report
) -> tuple[Animator, dict[str, object], list[Losses]]:
    if device.type == "cpu":
        torch.set_num_threads(recipe.run.cpu_threads)
    head = load_head(inputs.head)
    data = PairDataset(inputs.clips, inputs.fits, head)
    _check_size(data, recipe.image_px)
    provenance = row_provenance(row, guidance, recipe, inputs, head)
    code = sha256_sources(["model", "pipeline/training/dataset.py", "pipeline/training/augment.py"])
    store = CheckpointStore(scratch_dir("train", sha256_text(provenance, code, *key_of(device))))
    torch.manual_seed(recipe.seed)
    animator = Animator(
        head,
        AnimatorConfig(guidance=recipe.guidance_config(guidance), generator=recipe.generator_config()),
    )
    discriminator = Discriminator(recipe.discriminator_config())
    perceptual = Perceptual(load_backbone(recipe.perceptual), recipe.perceptual.blocks, recipe.losses.perceptual_scales)

    def drawn(step: int) -> Batch:
        pairs, change = data.batch(step, recipe.seed, recipe.batch_size), recipe.augment
        moved = recrop(pairs, change.shift_ndc, change.log_scale, recipe.seed, step)
        return recolour(moved, change.colour, recipe.seed, step).share(team.rank, team.count)

    with batches_ahead(drawn, recipe.iterations, device) as batch_at:
        curve = fit(
            animator,
            discriminator,
            perceptual,
            batch_at,
            recipe.loss_config(),
            recipe.train_config(),
            device,
            store,
            report,
            team,
        )
    return animator, provenance, curve


def load_backbone(config: PerceptualSection) -> torch.nn.Module:
    """Load the perceptual loss's network from the recipe's weights."""
    weights = Path(config.weights)
    if config.backbone == "puppet_tracker":
        return load_tracker(weights)
    return Vgg19(weights, cast(Literal["first", "last"], config.backbone.removeprefix("vgg19_")))


def curve_csv(curve: list[Losses]) -> str:
    """Write the curve as CSV: the step, then every loss to six digits."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(curve[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: v if k == "step" else f"{v:.6g}" for k, v in row.items()} for row in curve)
    return text.getvalue()


def _check_size(data: PairDataset, image_px: int) -> None:
    size = tuple(data.batch(0, 0, 1).source.shape[-2:])
    if size != (image_px, image_px):
        raise ValueError(f"the clips are {size[1]}x{size[0]} px, but the recipe's image_px is {image_px}")


def row_provenance(row: str, guidance: str, recipe: Recipe, inputs: TrainInputs, head: HeadModel) -> dict[str, object]:
    """What a row is made from, code apart, as it stands in the trained model's config.json."""
    shards = {path.name: path.stat().st_size for path in sorted(inputs.clips.glob("*.arrow"))}
    return {
        "row": row,
        "guidance": guidance,
        "recipe": recipe.model_dump(mode="json"),
        "head_sha256": head.sha256,
        "fits_sha256": sha256_file(inputs.fits),
        "clips_sha256": sha256_text(sha256_file(inputs.clips / "index.parquet"), shards),
        "perceptual_sha256": sha256_file(Path(recipe.perceptual.weights)),
    }


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
