"""Measure a training step: `python -m benchmarks.train` writes reports/benchmarks/train.{json,md}.

A step is everything that training does but reading images: guidance rendered on the fly, generator,
discriminator, perceptual loss, both optimisers. Images are noise and heads are random, which costs the
same as real ones. CPU time is given beside wall time, because other processes lengthen the latter.

Machines differ by more than rows do, so each row stands beside a reference that runs in turns with it: the step that
the budget was made from, one thread, 205 ms where that was measured (64 px, 8 pairs, 16 to 128 channels, 7x7 outer
convolutions, one SPADE a level, spectral norms, two discriminators, L1 and no perceptual loss, nothing rendered).
"""

import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, cast

import torch
import typer

from model.heads.fit import HeadFit
from model.heads.head import HeadModel, load_head
from model.method.network import Batch
from model.pwm.animator import Animator, AnimatorConfig, fit_signals
from model.pwm.config import GUIDANCE_PARTS
from model.pwm.generator import Generator
from model.pwm.guidance import GuidanceMaps
from model.pwm.lesson import PwmLesson
from model.training.discriminator import Discriminator
from model.training.loop import Players, train_step
from model.training.losses import discriminator_hinge, feature_matching, generator_hinge, groups
from model.training.perceptual import Perceptual
from model.training.replicas import Replicas, replicas
from pipeline.adapters.pwm.configs import (
    discriminator_config,
    first_rates,
    generator_config,
    guidance_config,
    loss_config,
)  # fmt: skip
from pipeline.options import DeviceName
from pipeline.params.recipe import Recipe
from pipeline.params.sections.pwm import PwmSection
from pipeline.params.tree import load_params
from pipeline.store.compute.devices import device_named
from pipeline.store.provenance import commit, versions, write_json, write_text
from pipeline.training.configs import train_config
from pipeline.training.run import load_backbone

GOAL_MS = 200.0  # at 64 px and batch 8
REFERENCE_MS = 205.0  # of the reference step on the machine that the goal was set on
REFERENCE_CHANNELS, REFERENCE_HIDDEN, REFERENCE_KERNEL = (128, 128, 64, 32, 16), 64, 7
REFERENCE_WIDTH, REFERENCE_SCALES = 16, 2  # of its discriminators
HEAD_SHARE = 0.7  # of the frame's height that the mean head fills


def random_fits(head: HeadModel, count: int, generator: torch.Generator) -> HeadFit:
    """Heads of random codes and angles that fill most of the frame."""
    low, high = head.template.amin(0), head.template.amax(0)
    placed = HEAD_SHARE * 2 / (high - low)[1].item()
    draws = [torch.randn(count, n, generator=generator) for n in (head.num_shape, head.num_expression, head.num_pose)]
    to_frame = torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
    x, y, _ = (-(low + high) / 2).tolist()
    camera = torch.zeros(head.num_camera) if head.perspective else torch.tensor([placed, x, y])
    return HeadFit(0.5 * draws[0], 0.3 * draws[1], 0.1 * draws[2], camera.repeat(count, 1), to_frame.repeat(count, 1))


class ReferenceStep:
    """The step of the budget (module docstring) on noise, alone on one thread."""

    def __init__(self, recipe: Recipe, network: PwmSection) -> None:
        judge = {"scales": REFERENCE_SCALES, "width": REFERENCE_WIDTH, "max_width": REFERENCE_CHANNELS[0]}
        layout = {"memory_format": torch.channels_last}
        generator = replace(
            generator_config(network),
            channels=REFERENCE_CHANNELS,
            outer_kernel=REFERENCE_KERNEL,
            spade_hidden=REFERENCE_HIDDEN,
        )
        self.generator = Generator(generator, ("disp",), 0, 2, torch.zeros(3)).train().to(**layout)
        self.discriminator = Discriminator(replace(discriminator_config(network), **judge)).train().to(**layout)
        self.adams = [torch.optim.Adam(n.parameters(), fused=True) for n in (self.generator, self.discriminator)]
        size = (recipe.batch_size, 3, recipe.image_px, recipe.image_px)
        self.source, self.target = (torch.rand(size).contiguous(**layout) for _ in range(2))
        nothing = torch.zeros(size)[:, :0]
        self.maps = GuidanceMaps(0.1 * torch.randn(size)[:, :2], nothing, nothing)

    def __call__(self) -> None:
        """Update both networks once."""
        out = self.generator(self.source, self.maps)
        made = (out.image, out.warped)
        real, *scores = groups(self.discriminator(torch.cat([self.target, *made])), 3)
        loss = cast(torch.Tensor, sum((image - self.target).abs().mean() for image in made))
        loss = loss + sum(generator_hinge(score) + feature_matching(real, score) for score in scores)
        for adam in self.adams:
            adam.zero_grad()
        loss.backward(inputs=list(self.generator.parameters()), retain_graph=True)
        against = cast(torch.Tensor, sum(discriminator_hinge(real, score) for score in scores))
        against.backward(inputs=list(self.discriminator.parameters()))
        for adam in self.adams:
            adam.step()


def measure(
    team: Replicas,
    recipe: Recipe,
    network: PwmSection,
    guidance: str,
    head_path: Path,
    device: torch.device,
    steps: int,
) -> dict[str, float]:
    """Time the steps of one row after two to warm up; milliseconds of one of the processes that take part."""
    torch.set_num_threads(recipe.run.cpu_threads)
    torch.manual_seed(recipe.seed)
    head, pairs = load_head(head_path), recipe.batch_size // team.count
    config = AnimatorConfig(guidance=guidance_config(network, guidance), generator=generator_config(network))
    judged_by = network.perceptual
    lesson = PwmLesson(
        Animator(head, config).train(),
        Discriminator(discriminator_config(network)).train(),
        Perceptual(load_backbone(judged_by), judged_by.blocks, network.losses.perceptual_scales),
        loss_config(network),
        first_rates(network),
    )
    players = Players.make(lesson, train_config(recipe, network), device)
    generator = torch.Generator().manual_seed(recipe.seed)
    reference = ReferenceStep(recipe, network) if team.count == 1 else None
    walls, processors, rendering, beside = [], [], [], []
    for _ in range(steps + 2):
        images = torch.rand(2, pairs, 3, recipe.image_px, recipe.image_px, generator=generator)
        fits = [random_fits(head, pairs, generator) for _ in range(2)]
        batch = Batch(images[0], images[1], fit_signals(*fits))
        wall, processor = time.perf_counter(), time.process_time()
        train_step(players, batch, train_config(recipe, network), device, team)
        walls.append(1e3 * (time.perf_counter() - wall))
        processors.append(1e3 * (time.process_time() - processor))
        wall = time.perf_counter()
        with torch.no_grad():
            animator = lesson.network
            animator.guidance(animator.head, *(fit.to(device) for fit in fits), (recipe.image_px, recipe.image_px))
        rendering.append(1e3 * (time.perf_counter() - wall))
        if reference is not None and device.type == "cpu":
            wall = time.perf_counter()
            reference()
            beside.append(1e3 * (time.perf_counter() - wall))
    over = [step / slow for step, slow in zip(walls, beside, strict=False)]
    return {
        "step_ms": statistics.median(walls[2:]),
        "step_min_ms": min(walls[2:]),
        "step_max_ms": max(walls[2:]),
        "step_cpu_ms": statistics.median(processors[2:]),
        "rendering_ms": statistics.median(rendering[2:]),
        **(
            {"reference_ms": statistics.median(beside[2:]), "over_reference": statistics.median(over[2:])}
            if over
            else {}
        ),
    }


def follow(team: Replicas, *job: Any) -> None:
    """Take part in another process's measurement."""
    measure(team, *job)


def measured(processes: int, *job: Any) -> dict[str, float]:
    """Measure one row with a number of processes."""
    with replicas(processes, follow, *job) as team:
        return measure(team, *job)


def main(
    params: Annotated[Path, typer.Option(help="parameter file")] = Path("params.yaml"),
    recipe: Annotated[str, typer.Option(help="a key of `recipes`; that of the bench if empty")] = "",
    out: Annotated[Path, typer.Option(help="folder of the report")] = Path("reports/benchmarks"),
    threads: Annotated[int, typer.Option(help="threads of torch in each process; the recipe's if 0")] = 0,
    processes: Annotated[int, typer.Option(help="that share each batch; the recipe's if 0")] = 0,
    steps: Annotated[int, typer.Option(help="steps that are timed")] = 15,
    device: DeviceName = "cpu",
) -> None:
    """Time a training step of every guidance."""
    settings, place = load_params(params), device_named(device)
    name = recipe or settings.bench.recipe
    chosen, network = settings.recipes[name], settings.networks[name].pwm
    run = chosen.run.model_copy(update={"cpu_threads": threads or chosen.run.cpu_threads})
    chosen = chosen.model_copy(update={"run": run})
    processes = (processes or run.cpu_processes) if place.type == "cpu" else 1
    head = Path(settings.data.heads) / f"{settings.bench.head}.npz"
    rows = {g: measured(processes, chosen, network, g, head, place, steps) for g in GUIDANCE_PARTS}
    report = {
        "command": f"python -m benchmarks.train --recipe {name} --threads {run.cpu_threads} --processes {processes} "
        f"--steps {steps} --device {device}",
        "goal": f"one process, one thread: over_reference at most {GOAL_MS / REFERENCE_MS:.2f}, which is {GOAL_MS:.0f} "
        f"ms where the reference takes {REFERENCE_MS:.0f}",
        "commit": commit(),
        "versions": versions(),
        "rows": rows,
    }
    write_json(out / "train.json", report)
    columns = list(next(iter(rows.values())))
    table = [f"| guidance | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    table += [f"| {g} | {' | '.join(f'{v:.3g}' for v in row.values())} |" for g, row in rows.items()]
    write_text(
        out / "train.md",
        f"# A training step, ms\n\n`{report['command']}`\n\nGoal: {report['goal']}.\n\n" + "\n".join(table) + "\n",
    )
    print("\n".join(table))


if __name__ == "__main__":
    typer.run(main)
