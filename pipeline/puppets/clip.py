"""One puppet video: a person, a motion, a camera, and the frames they make."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from model.frame.coords import apply_affine
from model.heads.fit import HeadFit
from pipeline.params.puppets import CorpusParams, PuppetParams
from pipeline.puppets.framing import box_map, cameras, face_box
from pipeline.puppets.motion import MotionLimits, make_motion
from pipeline.puppets.people import Person, make_person
from pipeline.puppets.render import Camera, Picture
from pipeline.puppets.scene import Studio

BATCH = 4  # frames posed at once
ANNOTATION_FPS = 25  # VoxCeleb's annotations count frames at 25 per second


@dataclass(frozen=True)
class ClipPlan:
    """What decides a video.

    Attributes:
        person_id: such as "id10001".
        video: 11 characters, as YouTube's.
        split: "train" or "test".
        seed: seed of the identity, the look and the motion.
        palette: of the look.
        size_hw: height and width of the frames.
        fps: frames per second.
        frames: number of frames at that rate.
        limits: largest head angles.
    """

    person_id: str
    video: str
    split: str
    seed: int
    palette: str
    size_hw: tuple[int, int]
    fps: int
    frames: int
    limits: MotionLimits


@dataclass(frozen=True)
class Clip:
    """A planned video with all its numbers, before it is rendered.

    Attributes:
        plan: what was asked for.
        person: who is in it.
        fit: true codes of T frames; the tracker's frame is a square on the frame's height, in its middle.
        landmarks: (T, 68, 2) in the video frame's ndc.
        angles_deg: (T, 3) yaw, pitch, roll.
        boxes: (T, 4) left, top, right, bottom of the face in the video frame's ndc.
    """

    plan: ClipPlan
    person: Person
    fit: HeadFit
    landmarks: np.ndarray
    angles_deg: np.ndarray
    boxes: np.ndarray


_ALPHABET = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"))


def plan_corpus(params: PuppetParams, corpus: CorpusParams) -> list[ClipPlan]:
    """List a corpus's videos, one a person, training people first.

    Frame sizes and rates are dealt out in turn, so each split has all of them; which clips are wide is drawn.
    """
    wide = MotionLimits(params.wide_yaw_deg, params.pitch_deg, params.roll_deg)
    ordinary = MotionLimits(params.yaw_deg, params.pitch_deg, params.roll_deg)
    plans = []
    for split, first, count in (
        ("train", corpus.first_train_id, corpus.train_people),
        ("test", corpus.first_test_id, corpus.test_people),
    ):
        for number in range(count):
            seed = 100_000 * params.seed + first + number
            rng = np.random.default_rng([seed, 30])
            fps = params.fps[number % len(params.fps)]
            plans.append(
                ClipPlan(
                    person_id=f"id{first + number:05d}",
                    video="".join(rng.choice(_ALPHABET, 11)),
                    split=split,
                    seed=seed,
                    palette=corpus.palette,
                    size_hw=params.frame_sizes[number % len(params.frame_sizes)],
                    fps=fps,
                    frames=round(params.frames * fps / ANNOTATION_FPS),
                    limits=wide if rng.random() < params.wide_share else ordinary,
                )
            )
    return plans


def make_clip(plan: ClipPlan, studio: Studio, params: PuppetParams) -> Clip:
    """Draw a clip's person and motion and frame it.

    A head turns about its neck, so its face wanders over the frame; `face_follow` of that is taken back. The camera is
    set so that the union of the face's boxes over the clip has `face_share` of the frame's shorter side and lies near
    the middle; FOMM's enlarged tube then stays inside the frame.
    """
    head = studio.head
    person = make_person(plan.seed, plan.seed, head.num_shape, plan.palette)
    motion = make_motion(plan.seed, head.arrays, np.arange(plan.frames) / plan.fps, plan.limits)
    shape = torch.from_numpy(person.identity.shape).expand(plan.frames, -1).contiguous()
    expression, pose = torch.from_numpy(motion.expression), torch.from_numpy(motion.pose)
    marks = studio.posing.landmarks(shape, expression, pose)
    camera = cameras(motion.drift, 1 / 16, np.zeros(2), 16.0)
    box = face_box(head.project(marks, camera)[..., :2].numpy())
    centre = 0.5 * (box[:, :2] + box[:, 2:])
    back = params.face_follow * (centre - centre.mean(0))
    camera[:, 1:] -= torch.from_numpy(back * np.array([1, -1])).float() / camera[:, :1]  # the camera's y runs up
    box = box - np.concatenate([back, back], 1)
    union = np.concatenate([box[:, :2].min(0), box[:, 2:].max(0)])
    height, width = plan.size_hw
    wanted = 2 * params.face_share * min(height, width) / height  # in the tracker's ndc: 2 = the frame's height
    zoom = wanted / (union[2:] - union[:2]).max()
    rng = np.random.default_rng([plan.seed, 31])
    centre = rng.uniform(-1, 1, 2) * np.array([0.06 * width / height, 0.03]) + np.array([0.0, 0.05])
    shift = (centre / zoom - 0.5 * (union[:2] + union[2:])) * np.array([1, -1])
    camera[:, 1:] += torch.from_numpy(shift).float() / camera[:, :1]
    camera[:, 0] *= zoom
    tracker_map = torch.from_numpy(box_map(np.array([-width / height, -1, width / height, 1]))).expand(plan.frames, 6)
    fit = HeadFit(shape, expression, pose, camera, tracker_map.contiguous())
    landmarks = apply_affine(fit.tracker_map, head.project(marks, camera)[..., :2]).numpy()
    angles = np.degrees(head.yaw_pitch_roll_rad(pose).numpy())
    return Clip(plan, person, fit, landmarks, angles, face_box(landmarks))


def film_clip(clip: Clip, studio: Studio) -> Iterator[Picture]:
    """Render a clip's frames in order."""
    actor, film = studio.dress(clip.person), Camera(studio)
    for first in range(0, clip.plan.frames, BATCH):
        fit = clip.fit[slice(first, first + BATCH)]
        maps = fit.tracker_map.numpy()
        yield from film.film(actor, fit.shape, fit.expression, fit.pose, fit.camera, clip.plan.size_hw, maps)
