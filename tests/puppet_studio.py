"""A puppet to test with: the shipped head, a small texture, one person in a fixed look."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch

import pipeline.puppets
from model.heads.head import load_head
from pipeline.puppets.motion import rotation_vector
from pipeline.puppets.people import Person, make_identity, make_look
from pipeline.puppets.scene import Studio

ASSETS = Path(pipeline.puppets.__path__[0]) / "assets"


@cache
def studio() -> Studio:
    torch.set_num_threads(1)
    return Studio(load_head(ASSETS / "puppet.npz"), 128)


def person(seed: int = 5, **look: object) -> Person:
    identity = make_identity(seed, studio().head.num_shape)
    plain = {"style": "short", "beard": "none", "glasses": "none", "garment": "crew"}
    return Person(identity, replace(make_look(seed, identity, "day"), **{**plain, **look}))


def codes(who: Person, yaw_deg: float = 0.0, jaw_deg: float = 0.0, scale: float = 1 / 16) -> dict[str, torch.Tensor]:
    head = studio().head
    pose = torch.zeros(1, head.num_pose)
    pose[0, :3] = torch.from_numpy(rotation_vector(*(np.radians([a]) for a in (yaw_deg, 0.0, 0.0)))[0])
    pose[0, 6] = np.radians(jaw_deg)
    return {
        "shape": torch.from_numpy(who.identity.shape)[None],
        "expression": torch.zeros(1, head.num_expression),
        "pose": pose,
        "camera": torch.tensor([[scale, 0.0, 3.0]]),
    }


def landmarks_px(c: dict[str, torch.Tensor], frame_map: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """(68, 2) pixels at which a frame shows the landmarks."""
    head = studio().head
    marks = head.landmarks_of(head.vertices(c["shape"], c["expression"], c["pose"]))
    ndc = head.project(marks, c["camera"])[0, :, :2].numpy()
    matrix = np.asarray(frame_map, float).reshape(2, 3)
    return (ndc @ matrix[:, :2].T + matrix[:, 2] + 1) / 2 * np.array(size_hw[::-1])


def centre_of(label: np.ndarray, part: int) -> np.ndarray:
    """(2,) mean x, y in pixels of a part's pixels."""
    rows, columns = np.nonzero(label == part)
    return np.array([columns.mean() + 0.5, rows.mean() + 0.5])
