"""Can a method learn eight frames by heart? `python -m benchmarks.overfit METHOD` says how near it comes.

Eight frames of one puppet with their true fits, landmarks and parts, every pair of them a training pair; the network,
its rates and weights are of params.yaml. Without rivals, augmentation or new pairs nothing but the method stands
between the loss and zero: a warp, a level or a gradient that is wrong shows here as a floor under L1.
"""

from dataclasses import dataclass, replace
from itertools import permutations
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor

from model.frame.coords import from_u8
from model.heads.fit import HeadFit
from model.heads.head import load_head
from model.method.network import Batch
from model.method.parts import PARTS
from model.training.loop import Players, train_step
from model.training.perceptual import Perceptual
from pipeline.method_table import OURS
from pipeline.methods.registry import adapter_named
from pipeline.methods.teaching import supervision, teacher_named
from pipeline.options import DeviceName
from pipeline.params.sections.base import Section
from pipeline.params.tree import load_params
from pipeline.puppets import appearance
from pipeline.puppets.motion import rotation_vector
from pipeline.puppets.people import Person, make_identity, make_look
from pipeline.puppets.render import Camera
from pipeline.puppets.scene import Studio
from pipeline.store.compute.devices import device_named
from pipeline.store.provenance import ROOT
from pipeline.training.configs import train_config
from pipeline.training.run import load_backbone


@dataclass(frozen=True)
class Goal:
    """What a method reaches: L1 in grey levels of 255, mean over all 56 pairs, after some steps.

    The frames themselves are 12 apart.
    """

    l1: float
    steps: int = 200


GOALS = {
    OURS: Goal(6.5),
    "headgan": Goal(7.4),
    "x2face": Goal(7.0, 400),
    "fomm": Goal(6.9),
    "pirender": Goal(6.1),
    "bilayer": Goal(7.3, 400),
    "lsr": Goal(7.3),
    "fomm3d": Goal(6.4),
}
VARIANTS = {OURS: "geom_disp+neural_codes"}  # which of its rows, of methods that have several
FRAMES, SIDE_PX, TEXTURE_PX = 8, 64, 128
BATCH = 8
HEAD = ROOT / "pipeline" / "puppets" / "assets" / "puppet.npz"


@dataclass(frozen=True)
class FilmedView:
    """Some of the frames of a short clip; see `pipeline.methods.protocol.View`.

    Attributes:
        frames: of the whole clip, (F, 3, H, W) in [0, 1].
        fits: theirs.
        placed: their 68 landmarks (F, 68, 2) ndc.
        parts: what their pixels show (F, H, W) uint8, numbers of `model.method.parts.PARTS`.
        rows: which frames these are.
    """

    frames: Tensor
    fits: HeadFit
    placed: Tensor
    parts: Tensor
    rows: Tensor

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of the frames."""
        height, width = self.frames.shape[-2:]
        return height, width

    def images(self) -> Tensor:
        """The frames."""
        return self.frames[self.rows]

    def fit(self, before: int = 0, after: int = 0) -> HeadFit:
        """Fits of the frames' windows."""
        return self.fits[self._window(before, after)]

    def landmarks(self, before: int = 0, after: int = 0) -> Tensor:
        """Landmarks of the frames' windows."""
        return self.placed[self._window(before, after)]

    def labels(self) -> Tensor:
        """Parts of the frames, (B, H, W)."""
        return self.parts[self.rows]

    def _window(self, before: int, after: int) -> Tensor:
        near = self.rows[:, None] + torch.arange(-before, after + 1)
        return near.clamp(0, len(self.frames) - 1).flatten()


def eight_frames(seed: int = 5) -> FilmedView:
    """Frames of 64 px of one person who turns, nods and smiles."""
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
    fits = HeadFit(
        torch.from_numpy(identity.shape)[None].repeat(FRAMES, 1), expression, pose,
        torch.tensor([[1 / 14, 0.0, 3.0]]).repeat(FRAMES, 1),
        torch.tensor([[1.0, 0, 0, 0, 1.0, 0]]).repeat(FRAMES, 1),
    )  # fmt: skip
    codes = (fits.shape, fits.expression, fits.pose, fits.camera)
    maps = fits.tracker_map.numpy()
    filmed = Camera(studio).film(studio.dress(person), *codes, (SIDE_PX, SIDE_PX), maps[0], supersample=2)
    frames = from_u8(torch.from_numpy(np.stack([shot.image for shot in filmed])).permute(0, 3, 1, 2))
    numbers = np.array([PARTS.index(name) for name in appearance.PARTS], np.uint8)
    parts = torch.from_numpy(numbers[np.stack([shot.label for shot in filmed])])
    return FilmedView(frames, fits, head.place_landmarks(fits), parts, torch.arange(FRAMES))


def overfit(method: str, device: torch.device, steps: int) -> tuple[float, float]:
    """Train a method on all pairs of the eight frames.

    Returns:
        L1 in grey levels, mean over the 56 pairs: of the source as it is, and of what the trained network makes of it.
    """
    params = load_params(ROOT / "params.yaml")
    recipe, section = params.recipes[params.bench.recipe], params.networks[params.bench.recipe].of(method)
    teacher = teacher_named(method)
    if section is None or teacher is None:
        raise ValueError(f"{method} is not trained here by recipe {params.bench.recipe}")
    section = without_rivals(section)
    torch.manual_seed(0)
    head = load_head(HEAD)
    network = teacher.build(recipe, section, VARIANTS.get(method, ""), head)
    judged_by = section.perceptual
    perceptual = Perceptual(load_backbone(judged_by), judged_by.blocks, section.losses.perceptual_scales)
    lesson, adapter = teacher.lesson(network, section, perceptual), adapter_named(method)(network, head)
    drops = (steps // 2, steps * 3 // 4, steps * 7 // 8)
    config = replace(train_config(recipe, section), iterations=steps, batch_size=BATCH, lr_drop_steps=drops)
    players = Players.make(lesson, config, device)
    clip = eight_frames()
    pairs = torch.tensor(list(permutations(range(FRAMES), 2)))
    draw = torch.Generator().manual_seed(0)

    def batch(rows: Tensor, progress: float = 0.0) -> Batch:
        source, driving = (replace(clip, rows=side) for side in pairs[rows].unbind(1))
        driven = adapter.drive(source, driving, torch.ones(len(rows), dtype=torch.bool))
        signals = {**driven.signals, **supervision(teacher, source, driving, head)}
        parts = (source.labels(), driving.labels()) if section.needs_parts else None
        return Batch(driven.source, driving.images(), signals, progress, parts)

    network.train()
    for step in range(steps):
        players.set_rates(config.lr_factor(step))
        rows = torch.randperm(len(pairs), generator=draw)[:BATCH]
        train_step(players, batch(rows, step / steps), config, device)
    every = batch(torch.arange(len(pairs)))
    with torch.no_grad():
        made = network.eval()(every.source.to(device), every.to(device).signals).image.clamp(0, 1).cpu()
    return tuple(255 * (image - every.target).abs().mean().item() for image in (every.source, made))  # type: ignore[return-value]


def without_rivals(section: Section) -> Section:
    """The section with the weights of a discriminator's verdicts at 0, where it has such."""
    rivals = {name: 0.0 for name in ("adversarial", "feature_matching") if hasattr(section.losses, name)}
    return section.model_copy(update={"losses": section.losses.model_copy(update=rivals)})


def main(
    method: Annotated[str, typer.Argument(help="ours or a published system that is trained here")] = OURS,
    steps: Annotated[int | None, typer.Option(help="training steps; as the goal has them, unless given")] = None,
    device: DeviceName = "auto",
) -> None:
    """Print L1 before and after; exits with 1 where it stays above the goal."""
    if method not in GOALS:
        raise typer.BadParameter(f"{method}: no goal is stated; there are {', '.join(GOALS)}")
    torch.set_num_threads(1)
    goal = GOALS[method]
    taken = steps or goal.steps
    copied, learned = overfit(method, device_named(device), taken)
    print(
        f"{method}: L1 of the sources {copied:.2f}, after {taken} steps {learned:.2f}; goal {goal.l1:g} in {goal.steps}"
    )
    raise typer.Exit(learned > goal.l1)


if __name__ == "__main__":
    typer.run(main)
