"""A seeded stream of unrelated puppet crops with their truth, for networks that learn to look at puppets.

People come from seed ranges that no corpus uses (`pipeline.puppets.people`). One person appears in several looks, with
other hair, clothes, background and light, so that an identity network can learn to ignore these.
"""

from dataclasses import dataclass

import numpy as np
import torch

from model.frame.coords import apply_affine
from model.heads.fit import HeadFit
from pipeline.puppets.framing import box_map, cameras, face_box
from pipeline.puppets.motion import MotionLimits, random_codes
from pipeline.puppets.people import TRAINING_SEEDS, Person, make_identity, make_look
from pipeline.puppets.render import Camera, Picture
from pipeline.puppets.scene import Studio


@dataclass(frozen=True)
class CropJitter:
    """How crops vary around the detector's box of the face.

    Attributes:
        scale: (low, high) side of the crop as a multiple of the longer side of the box.
        shift: largest shift of the crop's centre as a share of its side.
        squeeze: standard deviation of the logarithm of width over height; the real crop squeezes, too.
    """

    scale: tuple[float, float] = (1.12, 1.75)
    shift: float = 0.12
    squeeze: float = 0.10


@dataclass(frozen=True)
class Crops:
    """N crops with their truth.

    Attributes:
        images: (N, H, W, 3) uint8.
        labels: (N, H, W) uint8 parts (`pipeline.puppets.appearance.PARTS`).
        fit: true codes of the head "puppet"; `fit.tracker_map` carries the crop, squeeze included.
        landmarks: (N, 68, 2) in the crop's ndc.
        angles_deg: (N, 3) yaw, pitch, roll.
        person: (N,) number of the person, equal numbers are one person.
        look: (N,) number of the look.
    """

    images: np.ndarray
    labels: np.ndarray
    fit: HeadFit
    landmarks: np.ndarray
    angles_deg: np.ndarray
    person: np.ndarray
    look: np.ndarray


def random_crops(
    studio: Studio,
    seed: int,
    count: int,
    size_hw: tuple[int, int],
    *,
    jitter: CropJitter,
    limits: MotionLimits,
    looks_per_person: int = 2,
    shots_per_look: int = 4,
    seeds: range = TRAINING_SEEDS,
    supersample: int = 2,
    talking: float = 0.0,
) -> Crops:
    """Render crops of random people.

    Args:
        studio: a head and the size of the textures (256 suffices for crops of 64 to 128 pixels).
        seed: equal seeds give equal crops.
        count: number of crops.
        size_hw: height and width of the crops.
        jitter: how crops vary.
        limits: largest head angles; yaw is spread evenly up to its limit.
        looks_per_person: looks of every person.
        shots_per_look: crops of every look.
        seeds: range that people are drawn from.
        supersample: pixels rendered per pixel and axis.
        talking: share of crops whose face is one of a talking clip (`pipeline.puppets.motion.random_codes`).
    """
    rng = np.random.default_rng([seed, 20])
    head, film = studio.head, Camera(studio)
    batches: list[tuple[list[Picture], HeadFit, np.ndarray, int, int]] = []
    done = 0
    while done < count:
        number = len(batches)
        if number % looks_per_person == 0:
            identity = make_identity(int(rng.integers(seeds.start, seeds.stop)), head.num_shape)
        actor = studio.dress(Person(identity, make_look(int(rng.integers(2**31)), identity, "any")))
        shots = min(shots_per_look, count - done)
        fit, landmarks = draw_shots(rng, studio, identity.shape, shots, jitter, limits, talking)
        codes = (fit.shape, fit.expression, fit.pose, fit.camera)
        pictures = film.film(actor, *codes, size_hw, fit.tracker_map.numpy(), supersample=supersample)
        batches.append((pictures, fit, landmarks, number // looks_per_person, number))
        done += shots
    fits = HeadFit.cat([b[1] for b in batches])
    return Crops(
        images=np.stack([p.image for b in batches for p in b[0]]),
        labels=np.stack([p.label for b in batches for p in b[0]]),
        fit=fits,
        landmarks=np.concatenate([b[2] for b in batches]),
        angles_deg=np.degrees(head.yaw_pitch_roll_rad(fits.pose).numpy()),
        person=np.concatenate([np.full(len(b[0]), b[3]) for b in batches]),
        look=np.concatenate([np.full(len(b[0]), b[4]) for b in batches]),
    )


def draw_shots(
    rng: np.random.Generator, studio: Studio, shape: np.ndarray, count: int, jitter: CropJitter, limits: MotionLimits,
    talking: float = 0.0,
) -> tuple[HeadFit, np.ndarray]:  # fmt: skip
    """Draw codes, cameras and crops of one person: the fit, and landmarks (count, 68, 2) in the crops' ndc."""
    head = studio.head
    motion = random_codes(rng, head.arrays, count, limits, talking)
    shapes = torch.from_numpy(shape).expand(count, -1).contiguous()
    expression, pose = torch.from_numpy(motion.expression), torch.from_numpy(motion.pose)
    camera = cameras(motion.drift, 1 / 16, np.array([0.0, -3.0]), 16.0)
    landmarks = head.project(head.landmarks_of(head.vertices(shapes, expression, pose)), camera)[..., :2]
    box = face_box(landmarks.numpy())
    centre = 0.5 * (box[:, :2] + box[:, 2:])
    side = (box[:, 2:] - box[:, :2]).max(1) * rng.uniform(*jitter.scale, count)
    squeeze = np.exp(0.5 * jitter.squeeze * rng.standard_normal(count).clip(-2, 2))
    half = 0.5 * side[:, None] * np.stack([squeeze, 1 / squeeze], 1)
    centre = centre + jitter.shift * side[:, None] * rng.uniform(-1, 1, (count, 2))
    maps = torch.from_numpy(box_map(np.concatenate([centre - half, centre + half], 1)))
    fit = HeadFit(shapes, expression, pose, camera, maps)
    return fit, apply_affine(maps, landmarks).numpy()
