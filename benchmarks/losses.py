"""The golden loss trajectory: twenty training steps of fixed rows, whose losses a change of code must not move.

    python -m benchmarks.losses                    # print the losses of this working tree
    python -m benchmarks.losses --against COMMIT   # beside those of another commit, and the largest difference
    torchrun --nproc-per-node 2 -m benchmarks.losses   # of one row, by processes that share each batch
    python -m benchmarks.losses --write            # take them into tests/data/golden_losses.json

Images are smooth noise and heads are random but all comes from one seed, so nothing is read but the recipe of
tests/data/small.yaml, the shipped head and the shipped tracker. A commit that writes the golden file anew says why
under "Numbers" in CHANGELOG.md.
"""

import json
import math
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from model.heads.fit import HeadFit
from model.heads.head import HeadModel, load_head
from model.method.network import Batch
from model.pwm.animator import Animator, AnimatorConfig, fit_signals
from model.pwm.lesson import PwmLesson
from model.pwm.lesson_config import Rates
from model.training.discriminator import Discriminator
from model.training.launched import launched
from model.training.loop import train
from model.training.perceptual import Perceptual
from model.training.replicas import ALONE, Replicas, joined
from model.training.resume import CheckpointStore
from model.training.shared_norm import share_statistics
from pipeline.adapters.pwm.configs import (
    discriminator_config,
    first_rates,
    generator_config,
    guidance_config,
    loss_config,
)  # fmt: skip
from pipeline.params.tree import load_params
from pipeline.store.provenance import ROOT, write_json
from pipeline.training.augment import recolour, recrop
from pipeline.training.configs import train_config
from pipeline.training.dataset import Pairs
from pipeline.training.run import load_backbone

# guidance, or guidance/variant: without one the parameters' own generator
ROWS = (
    "geom_disp", "neural_codes", "nmfc", "geom_disp+neural_codes", "geom_disp/paper", "neural_codes/paper",
    "nmfc/in_full",
)  # fmt: skip
VARIANTS = {"": {}, "paper": {"output": "paper"}, "in_full": {"nmfc_centre": "in_full"}}  # keys of `generator`
GOLDEN = ROOT / "tests" / "data" / "golden_losses.json"
STEPS, PAIRS, SEED = 20, 4, 7
# Adam's first steps are as large where a gradient is rounding noise as where it is not, so at the recipe's rates the
# processor's last digits reach the first digit within twenty steps. At this share of the rates they do not.
RATE_SHARE = 0.001
# Largest |difference| / (|golden| + FLOOR) of any loss: at the first step, which no update precedes, and of all steps.
# Measured between ATEN_CPU_CAPABILITY default, avx2 and AVX-512: 2e-6 and 2e-4. Twice the rates give 4e-3 or more.
FIRST, TOLERANCE, FLOOR = 1e-5, 1e-3, 0.05

Trajectory = list[dict[str, float]]


def batch_at(head: HeadModel, image_px: int, step: int) -> Pairs:
    """The pairs of a step: smooth pictures, and heads of random codes and angles that fill most of the frame."""
    rng = np.random.default_rng([SEED, step])
    grain = torch.from_numpy(rng.random((2 * PAIRS, 3, 9, 7), np.float32))
    images = torch.nn.functional.interpolate(grain, (image_px, image_px), mode="bilinear", align_corners=False)
    low, high = head.template.amin(0), head.template.amax(0)
    x, y, _ = (-(low + high) / 2).tolist()
    camera = torch.tensor([1.4 / (high - low)[1].item(), x, y]).repeat(PAIRS, 1)
    to_frame = torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]).repeat(PAIRS, 1)

    def heads() -> HeadFit:
        shape, expression, pose = (
            torch.from_numpy(scale * rng.standard_normal((PAIRS, count), np.float32))
            for scale, count in ((0.5, head.num_shape), (0.3, head.num_expression), (0.1, head.num_pose))
        )
        return HeadFit(shape, expression, pose, camera, to_frame)

    return Pairs(images[:PAIRS], images[PAIRS:], heads(), heads())


def trajectory(row: str, team: Replicas = ALONE, dtype: torch.dtype = torch.float32) -> Trajectory:
    """Train one of `ROWS` for twenty steps on one thread; returns the losses of every step.

    Args:
        row: which.
        team: processes that share each batch and normalise by the whole of it.
        dtype: of everything.
    """
    guidance, _, variant = row.partition("/")
    params = load_params(ROOT / "tests" / "data" / "small.yaml")
    recipe, network = params.recipes["toy64"], params.networks["toy64"].pwm
    recipe = recipe.model_copy(
        update={
            "batch_size": PAIRS,
            "iterations": STEPS,
            "run": recipe.run.model_copy(update={"log_every": 1, "precision": "float32"}),
        }
    )
    network = network.model_copy(
        update={
            "generator": network.generator.model_copy(update=VARIANTS[variant]),
            "perceptual": network.perceptual.model_copy(update={"weights": str(ROOT / network.perceptual.weights)}),
        }
    )
    slow = Rates(**{name: RATE_SHARE * rate for name, rate in asdict(first_rates(network)).items()})
    head = load_head(ROOT / params.data.heads / f"{params.bench.head}.npz")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    config = AnimatorConfig(guidance=guidance_config(network, guidance), generator=generator_config(network))
    animator, discriminator = Animator(head, config), Discriminator(discriminator_config(network))
    judged_by = network.perceptual
    perceptual = Perceptual(load_backbone(judged_by), judged_by.blocks, network.losses.perceptual_scales)
    for made in (animator, discriminator, perceptual):
        made.to(dtype)
    lesson = PwmLesson(animator, discriminator, perceptual, loss_config(network), slow)
    for taught in (lesson.network, lesson.rivals):
        share_statistics(taught, team)

    def drawn(step: int) -> Batch:
        moved = recrop(batch_at(head, recipe.image_px, step), 0.1, 0.1, SEED, step)
        pairs = recolour(moved, 0.2, SEED, step).share(team.rank, team.count)
        return Batch(pairs.source.to(dtype), pairs.driving.to(dtype), fit_signals(pairs.fit_src, pairs.fit_drv))

    try:
        with tempfile.TemporaryDirectory() as scratch:
            return train(
                lesson, drawn, train_config(recipe, network), torch.device("cpu"), CheckpointStore(Path(scratch)),
                lambda _step, _losses: None, team,
            )  # fmt: skip
    finally:
        torch.set_num_threads(threads)


def difference(losses: Trajectory, golden: Trajectory) -> float:
    """Largest |difference| / (|golden| + FLOOR); infinite where steps or names of losses differ."""
    if [set(row) for row in losses] != [set(row) for row in golden]:
        return math.inf
    gaps = [
        abs(row[name] - value) / (abs(value) + FLOOR)
        for row, wanted in zip(losses, golden, strict=True)
        for name, value in wanted.items()
    ]
    return max(gaps, default=0.0) if all(map(math.isfinite, gaps)) else math.inf


def agree(losses: Trajectory, golden: Trajectory) -> bool:
    """Whether a trajectory is the golden one on any processor."""
    return difference(losses[:1], golden[:1]) <= FIRST and difference(losses, golden) <= TOLERANCE


def of_commit(commit: str) -> dict[str, Trajectory]:
    """Losses of another commit, computed by its own code in a temporary checkout of it."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), commit], check=True)
        try:
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.losses"], cwd=tree, check=True, stdout=subprocess.PIPE, text=True
            )
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)
    return json.loads(done.stdout)


def main(
    against: Annotated[str, typer.Option(help="a commit to compare with")] = "",
    write: Annotated[bool, typer.Option("--write", help="make these the golden ones")] = False,
) -> None:
    """Train every row for twenty steps and print, compare or store its losses."""
    if launched():
        with joined(torch.device("cpu")) as team:
            found = {row: trajectory(row, team) for row in ROWS[1:2]}
            if team.leads:
                print(json.dumps(found))
        return
    found = {row: trajectory(row) for row in ROWS}
    if write:
        write_json(GOLDEN, found)
    if not against:
        print(json.dumps(found))
        return
    other = of_commit(against)
    for row in [row for row in found if row not in other]:
        print(f"{row:24} not in {against}")
    gaps = {row: difference(found.get(row, []), losses) for row, losses in other.items()}
    for row, gap in gaps.items():
        print(f"{row:24} largest relative difference {gap:.2e} (on another processor up to {TOLERANCE:.1e})")
    if not all(agree(found.get(row, []), losses) for row, losses in other.items()):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
