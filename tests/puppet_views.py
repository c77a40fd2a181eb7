"""Pictures of puppets with all that is true of them, as adapters see frames of clips."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model.frame.coords import frames_to_tensor
from model.heads.fit import HeadFit
from pipeline.puppets.appearance import PART
from pipeline.puppets.render import Camera
from tests.puppet_studio import centre_of, codes, landmarks_px, person, studio

SIZE = (150, 220)  # of the frames, height and width
MAP = np.array([150 / 220, 0, 0.1, 0, 1, -0.1], np.float32)  # a square tracker frame in a wide frame
MARKED = ("eyes", "lips")  # parts that the marked pictures show, in red and in green


@dataclass(frozen=True)
class PuppetView:
    """One frame of a puppet, marked: `pipeline.methods.protocol.View`. The clip is this frame, again and again.

    Attributes:
        pose: arguments of `codes`.
        shift: further motion of the head in the frame, ndc.
    """

    pose: dict[str, float]
    shift: tuple[float, float] = (0.0, 0.0)
    size_hw: tuple[int, int] = SIZE

    @property
    def frame_map(self) -> np.ndarray:
        """From the tracker's frame to this frame."""
        moved = MAP.copy()
        moved[[2, 5]] += self.shift
        return moved

    @property
    def landmarks_px(self) -> np.ndarray:
        """The true landmarks (68, 2)."""
        return landmarks_px(codes(person(), **self.pose), self.frame_map, self.size_hw)

    @property
    def labels(self) -> np.ndarray:
        """(H, W) part of every pixel."""
        actor = studio().dress(person())
        film = Camera(studio()).film(actor, *codes(person(), **self.pose).values(), self.size_hw, self.frame_map)
        return film[0].label

    def centre(self, part: str) -> np.ndarray:
        """(2,) true middle of a part, px."""
        return centre_of(self.labels, PART[part])

    def images(self) -> Tensor:
        """The marked picture."""
        marked = np.zeros((*self.size_hw, 3), np.uint8)
        for channel, part in enumerate(MARKED):
            marked[..., channel] = (self.labels == PART[part]) * 255
        return frames_to_tensor(torch.from_numpy(marked)[None])

    def fit(self, before: int = 0, after: int = 0) -> HeadFit:
        """The true fit."""
        fit = HeadFit(**codes(person(), **self.pose), tracker_map=torch.from_numpy(self.frame_map)[None])
        return HeadFit.cat([fit] * (before + 1 + after))

    def landmarks(self, before: int = 0, after: int = 0) -> Tensor:
        """The true landmarks, ndc."""
        ndc = self.landmarks_px / np.array(self.size_hw[::-1]) * 2 - 1
        return torch.from_numpy(ndc).float()[None].expand(before + 1 + after, 68, 2)


def shown_at(image: Tensor, part: str) -> np.ndarray:
    """(2,) middle of a marked part in an image (1, 3, H, W), px."""
    weights = image[0, MARKED.index(part)].double().numpy()
    rows, columns = np.mgrid[: weights.shape[0], : weights.shape[1]] + 0.5
    return np.array([(columns * weights).sum(), (rows * weights).sum()]) / weights.sum()
