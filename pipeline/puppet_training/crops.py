"""The networks' crops: python -m pipeline.puppet_training.crops renders people of no corpus into a folder.

Truth is rewritten for networks that see only the crop: the tracker's frame is the whole crop, `tracker_map` is
the identity, and the crop's position and scale are in the camera. A camera has one scale, so a squeezed crop
gets the geometric mean of its two.
"""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor

from model.atomic import written_aside
from model.heads.fit import HeadFit
from model.heads.head import HeadModel, load_head
from pipeline.console import run_command, track
from pipeline.puppet_training.augment import move_camera
from pipeline.puppet_training.mirror import mirror_fit, mirror_landmarks
from pipeline.puppets import sampling
from pipeline.puppets.face_codes import true_face_codes
from pipeline.puppets.motion import MotionLimits
from pipeline.puppets.people import TRAINING_SEEDS, VALIDATION_SEEDS
from pipeline.puppets.scene import Studio

ASSETS = Path(__file__).parents[1] / "puppets" / "assets"
HEADS = ("puppet", "puppet_face")
LIMITS = MotionLimits(yaw_deg=75.0, pitch_deg=32.0, roll_deg=28.0)
TEXTURE_PX = 256
CHUNK_PEOPLE = 16


@dataclass(frozen=True)
class Crops:
    """N crops with their truth.

    Attributes:
        pixels: (N, 3, H, W) uint8.
        landmarks_ndc: (N, 68, 2) float32.
        person: (N,) int64, equal for crops of one person.
        look: (N,) int64, equal for crops with one hair, clothes, background and light.
        fits: true codes of every crop, by head name; the tracker's frame is the crop.
        head_sha256: the heads that the codes belong to.
    """

    pixels: np.ndarray
    landmarks_ndc: Tensor
    person: Tensor
    look: Tensor
    fits: dict[str, HeadFit]
    head_sha256: dict[str, str]

    def __len__(self) -> int:
        return len(self.pixels)

    def images(self, rows: Tensor) -> Tensor:
        """(B, 3, H, W) uint8 of the given rows."""
        return torch.from_numpy(self.pixels[rows.numpy()])

    @property
    def facts(self) -> dict[str, object]:
        """How much there is: for the cards."""
        return {
            "crops_with_mirror_images": len(self),
            "people": len(torch.unique(self.person)),
            "looks": len(torch.unique(self.look)),
            "crop_px": self.pixels.shape[-1],
            "head_sha256": self.head_sha256,
        }


def puppet_heads() -> dict[str, HeadModel]:
    """Both shipped puppet heads by name."""
    return {name: load_head(ASSETS / f"{name}.npz") for name in HEADS}


def render(
    seed: int, people: int, looks: int, shots: int, size: int, seeds: range, talking: float = 0.0
) -> sampling.Crops:
    """Render `people` x `looks` x `shots` crops of size x size pixels; equal arguments give equal crops."""
    torch.set_num_threads(1)
    return sampling.random_crops(
        Studio(load_head(ASSETS / "puppet.npz"), TEXTURE_PX),
        seed,
        people * looks * shots,
        (size, size),
        jitter=sampling.CropJitter(),
        limits=LIMITS,
        looks_per_person=looks,
        shots_per_look=shots,
        seeds=seeds,
        supersample=1 if size > 64 else 2,
        talking=talking,
    )


def with_truth(crops: sampling.Crops, heads: dict[str, HeadModel], *, mirror: bool) -> Crops:
    """Rewrite the truth of rendered crops for each of the heads; `mirror` appends every crop's mirror image."""
    fit = whole_frame_fit(heads["puppet"], crops.fit)
    pixels = np.ascontiguousarray(crops.images.transpose(0, 3, 1, 2))
    landmarks = torch.from_numpy(crops.landmarks).float()
    person, look = (torch.from_numpy(number).long() for number in (crops.person, crops.look))
    if mirror:
        fit = HeadFit.cat([fit, mirror_fit(heads["puppet"].arrays, fit)])
        pixels = np.concatenate([pixels, pixels[..., ::-1]])
        landmarks = torch.cat([landmarks, mirror_landmarks(landmarks)])
        person, look = person.repeat(2), look.repeat(2)
    return Crops(
        pixels=pixels,
        landmarks_ndc=landmarks,
        person=person,
        look=look,
        fits={name: fit if name == "puppet" else face_fit(heads["puppet"], head, fit) for name, head in heads.items()},
        head_sha256={name: head.sha256 for name, head in heads.items()},
    )


def face_fit(puppet: HeadModel, face: HeadModel, fit: HeadFit) -> HeadFit:
    """True codes of the head "puppet_face" in the same frame, from those of the head "puppet"."""
    values = (getattr(fit, name).numpy() for name in ("shape", "expression", "pose", "camera"))
    codes = true_face_codes(puppet.arrays, face.arrays, *values)
    shape, expression, pose, camera = (torch.from_numpy(value) for value in codes)
    return HeadFit(shape, expression, pose, camera, fit.tracker_map)


def whole_frame_fit(head: HeadModel, fit: HeadFit) -> HeadFit:
    """Fold `tracker_map` into the camera; the mean of the landmarks stays exactly where it was."""
    parts = []
    for rows in torch.arange(len(fit)).split(128):
        one = fit[rows]
        anchor = head.landmarks_of(head.vertices(one.shape, one.expression, one.pose)).mean(1)
        at = one.tracker_map.unflatten(-1, (2, 3))
        scale = torch.stack([at[:, 0, 0], at[:, 1, 1]], 1)
        camera = move_camera(one.camera, head.arrays.camera, anchor, scale, at[:, :, 2])
        identity = camera.new_tensor([1.0, 0, 0, 0, 1, 0]).expand(len(rows), 6)
        parts.append(one.replace(camera=camera, tracker_map=identity))
    return HeadFit.cat(parts)


def held_out_crops(
    seed: int, people: int, looks: int, heads: dict[str, HeadModel], size: int = 64, talking: float = 0.0
) -> Crops:
    """Crops of people of the validation range, one crop a look, a share of them with faces of talking clips."""
    return with_truth(render(seed, people, looks, 1, size, VALIDATION_SEEDS, talking), heads, mirror=False)


def render_chunk(number: int, folder: Path, seed: int, looks: int, shots: int, size: int, talking: float) -> None:
    """Render one file of training crops, unless it is there."""
    path = folder / f"chunk-{number:05d}.npz"
    if path.exists():
        return
    crops = render(seed + number, CHUNK_PEOPLE, looks, shots, size, TRAINING_SEEDS, talking)
    with written_aside(path) as partial, partial.open("wb") as stream:
        np.savez(
            stream,
            head=[load_head(ASSETS / "puppet.npz").sha256],
            images=crops.images,
            landmarks=crops.landmarks,
            person=crops.person + number * CHUNK_PEOPLE,
            look=crops.look + number * CHUNK_PEOPLE * looks,
            **{f"fit_{field.name}": getattr(crops.fit, field.name).numpy() for field in fields(HeadFit)},
        )


def load_crops(folder: Path, heads: dict[str, HeadModel]) -> Crops:
    """Read all rendered chunks of a folder, with mirror images.

    Raises:
        FileNotFoundError: there are none.
        ValueError: they show another version of the head.
    """
    paths = sorted(p for p in Path(folder).glob("chunk-*.npz"))
    if not paths:
        raise FileNotFoundError(f"no crops in {folder}: run python -m pipeline.puppet_training.crops")
    columns: dict[str, list[np.ndarray]] = {}
    for path in paths:
        with np.load(path) as stored:
            for key in stored.files:
                columns.setdefault(key, []).append(stored[key])
    if set(np.concatenate(columns.pop("head"))) != {heads["puppet"].sha256}:
        raise ValueError(f"{folder} holds crops of another version of the puppet head: remove them")
    joined = {key: np.concatenate(columns.pop(key)) for key in list(columns)}
    fit = HeadFit(*(torch.from_numpy(joined[f"fit_{field.name}"]) for field in fields(HeadFit)))
    return with_truth(
        sampling.Crops(
            images=joined["images"],
            labels=np.zeros((0, 0, 0), np.uint8),
            fit=fit,
            landmarks=joined["landmarks"],
            angles_deg=np.zeros((0, 3), np.float32),
            person=joined["person"],
            look=joined["look"],
        ),
        heads,
        mirror=True,
    )


def main(
    out: Annotated[Path, typer.Option(help="folder of the chunks")] = Path("data/scratch/puppet_crops"),
    people: int = 1056,
    looks: int = 2,
    shots: int = 8,
    size: Annotated[int, typer.Option(help="pixels; larger than 64, so that jitter has something to cut")] = 96,
    talking: Annotated[float, typer.Option(help="share of crops whose face is one of a talking clip")] = 0.0,
    workers: int = 2,
    seed: int = 3_000_000,
) -> None:
    """Render training crops of people that occur in no corpus; finished chunks are kept."""
    out.mkdir(parents=True, exist_ok=True)
    work = partial(render_chunk, folder=out, seed=seed, looks=looks, shots=shots, size=size, talking=talking)
    chunks = -(-people // CHUNK_PEOPLE)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for _ in track(pool.map(work, range(chunks)), "crops", chunks):
            pass


if __name__ == "__main__":
    run_command(main)
