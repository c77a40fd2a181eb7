"""Can the PWM learn eight frames by heart? `python -m benchmarks.overfit` says how near it comes.

Eight frames of one puppet with their true fits, every pair of them a training pair; the rest is of params.yaml.
Without rivals, augmentation or new pairs nothing but the model stands between the loss and zero: a warp, a level or
a gradient that is wrong shows here as a floor under L1.
"""

from dataclasses import replace
from itertools import permutations
from typing import Annotated

import numpy as np
import torch
import typer

from model.frame.coords import from_u8
from model.heads.fit import HeadFit
from model.heads.head import load_head
from model.method.network import Batch
from model.pwm.animator import Animator, AnimatorConfig, fit_signals
from model.pwm.lesson import PwmLesson
from model.training.discriminator import Discriminator
from model.training.loop import Players, train_step
from model.training.perceptual import Perceptual
from pipeline.adapters.pwm.configs import (
    discriminator_config,
    first_rates,
    generator_config,
    guidance_config,
    loss_config,
)  # fmt: skip
from pipeline.options import DeviceName
from pipeline.params.tree import load_params
from pipeline.puppets.motion import rotation_vector
from pipeline.puppets.people import Person, make_identity, make_look
from pipeline.puppets.render import Camera
from pipeline.puppets.scene import Studio
from pipeline.store.compute.devices import device_named
from pipeline.store.provenance import ROOT
from pipeline.training.configs import train_config
from pipeline.training.run import load_backbone

FRAMES, SIDE_PX, TEXTURE_PX = 8, 64, 128
STEPS, BATCH = 400, 8
GOAL_L1 = 5.5  # grey levels of 255, mean over all 56 pairs; the frames themselves are 12 apart
HEAD = ROOT / "pipeline" / "puppets" / "assets" / "puppet.npz"


def eight_frames(seed: int = 5) -> tuple[torch.Tensor, HeadFit]:
    """Frames (8, 3, 64, 64) in [0, 1] of one person who turns, nods and smiles, and their fits."""
    studio = Studio(load_head(HEAD), TEXTURE_PX)
    head, identity = studio.head, make_identity(seed, studio.head.num_shape)
    person = Person(identity, make_look(seed, identity, "day"))
    phase = np.linspace(0, 2 * np.pi, FRAMES, endpoint=False)
    pose = torch.zeros(FRAMES, head.num_pose)
    pose[:, :3] = torch.from_numpy(
        rotation_vector(
            np.radians(22 * np.sin(phase)), np.radians(8 * np.cos(phase)), np.radians(4 * np.sin(2 * phase))
        )
    )
    pose[:, 6] = torch.from_numpy(np.radians(5 * (1 + np.cos(2 * phase))))  # jaw
    expression = torch.zeros(FRAMES, head.num_expression)
    names = list(head.arrays.expression_names)
    smile = torch.from_numpy(0.4 * (1 + np.sin(phase))).float()
    for name in ("smile_left", "smile_right"):
        expression[:, names.index(name)] = smile
    fit = HeadFit(
        torch.from_numpy(identity.shape)[None].repeat(FRAMES, 1), expression, pose,
        torch.tensor([[1 / 14, 0.0, 3.0]]).repeat(FRAMES, 1),
        torch.tensor([[1.0, 0, 0, 0, 1.0, 0]]).repeat(FRAMES, 1),
    )  # fmt: skip
    codes = (fit.shape, fit.expression, fit.pose, fit.camera)
    maps = fit.tracker_map.numpy()
    filmed = Camera(studio).film(studio.dress(person), *codes, (SIDE_PX, SIDE_PX), maps[0], supersample=2)
    return from_u8(torch.from_numpy(np.stack([shot.image for shot in filmed])).permute(0, 3, 1, 2)), fit


def overfit(guidance: str, device: torch.device, steps: int = STEPS) -> tuple[float, float]:
    """Train on all pairs of the eight frames.

    Returns:
        L1 in grey levels, mean over the 56 pairs: of the source as it is, and of what the trained network makes of it.
    """
    params = load_params(ROOT / "params.yaml")
    recipe, section = params.recipes[params.bench.recipe], params.networks[params.bench.recipe].pwm
    torch.manual_seed(0)
    head = load_head(HEAD)
    made_of = AnimatorConfig(guidance=guidance_config(section, guidance), generator=generator_config(section))
    animator = Animator(head, made_of)
    judged_by = section.perceptual
    perceptual = Perceptual(load_backbone(judged_by), judged_by.blocks, section.losses.perceptual_scales)
    weights = replace(loss_config(section), adversarial=0.0, feature_matching=0.0)
    lesson = PwmLesson(
        animator.train(), Discriminator(discriminator_config(section)), perceptual, weights, first_rates(section)
    )
    drops = (steps // 2, steps * 3 // 4, steps * 7 // 8)
    config = replace(train_config(recipe, section), iterations=steps, batch_size=BATCH, lr_drop_steps=drops)
    players = Players.make(lesson, config, device)
    frames, fits = eight_frames()
    pairs = torch.tensor(list(permutations(range(FRAMES), 2)))
    draw = torch.Generator().manual_seed(0)

    def batch(rows: torch.Tensor) -> Batch:
        source, driving = pairs[rows].unbind(1)
        return Batch(frames[source], frames[driving], fit_signals(fits[source], fits[driving]))

    for step in range(steps):
        players.set_rates(config.lr_factor(step))
        train_step(players, batch(torch.randperm(len(pairs), generator=draw)[:BATCH]), config, device)
    every = batch(torch.arange(len(pairs)))
    with torch.no_grad():
        made = animator.eval()(every.source.to(device), every.to(device).signals).image.cpu()
    return tuple(255 * (image - every.target).abs().mean().item() for image in (every.source, made))  # type: ignore[return-value]


def main(
    guidance: Annotated[str, typer.Option(help="a key of GUIDANCE_PARTS")] = "geom_disp+neural_codes",
    steps: Annotated[int, typer.Option(help="training steps")] = STEPS,
    device: DeviceName = "auto",
) -> None:
    """Print L1 before and after; exits with 1 where it stays above the goal."""
    torch.set_num_threads(1)
    copied, learned = overfit(guidance, device_named(device), steps)
    print(f"L1 of the sources {copied:.2f}, after {steps} steps {learned:.2f}; goal {GOAL_L1:g}")
    raise typer.Exit(learned > GOAL_L1)


if __name__ == "__main__":
    typer.run(main)
