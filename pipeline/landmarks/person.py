"""Which of a video's faces is the person: in each scene the largest, or the one that the user points at.

Choice: nobody is recognised. A scene's main face is the one whose boxes cover most over its frames. Faces that are
never seen together with it, and are about as large, are taken to be the same person who was lost and found again.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.landmarks.follow import SeenFace, SeenFrame
from pipeline.store.landmark_table import FOUND

OK, NO_FACE, OTHER_FACE, CUT = "ok", "no_face", "other_face", "cut"
Point = tuple[float, float]  # shares of a frame's width and height


@dataclass(frozen=True)
class PersonRows:
    """The person in every frame of a video: `faces` is None where `status` says why."""

    status: list[str]
    faces: list[SeenFace | None]

    def table(self, person: str, video: str) -> pa.Table:
        """Rows of schema `FOUND`, one a frame; landmarks' pixel centres at integers, NaN where there are none."""
        nothing = np.full((68, 2), np.nan, np.float32)
        points = [nothing if face is None else face.landmarks_px - np.float32(0.5) for face in self.faces]
        columns = {
            "person_id": [person] * len(self.status),
            "video_id": [video] * len(self.status),
            "frame": np.arange(len(self.status), dtype=np.int32),
            "score": np.array([np.nan if face is None else face.presence for face in self.faces], np.float32),
            "landmarks": [point.ravel() for point in points],
            "status": self.status,
        }
        return pa.table(columns, schema=FOUND)


def choose_person(frames: Sequence[SeenFrame], same_size: float, told: Point | None = None) -> PersonRows:
    """Choose the person of every scene.

    The first frame of a scene has no landmarks (`cut`), so that no clip reaches from one scene into the next.

    Args:
        frames: of one video, all of them.
        same_size: see `FaceParams`.
        told: where in the frame the person's face is, if the user says so.
    """
    scenes: defaultdict[int, list[int]] = defaultdict(list)
    for number, frame in enumerate(frames):
        scenes[frame.scene].append(number)
    status, faces = [NO_FACE] * len(frames), [None] * len(frames)  # type: tuple[list[str], list[SeenFace | None]]
    for scene, numbers in scenes.items():
        chosen = _tracks_of_person([frames[number] for number in numbers], same_size, told)
        for number in numbers:
            seen = [face for face in frames[number].faces if face.track in chosen]
            if seen:
                status[number], faces[number] = OK, seen[0]
            elif frames[number].faces:
                status[number] = OTHER_FACE
        if scene != frames[0].scene:
            status[numbers[0]], faces[numbers[0]] = CUT, None
    return PersonRows(status, faces)


def _tracks_of_person(frames: list[SeenFrame], same_size: float, told: Point | None) -> set[int]:
    sides: defaultdict[int, list[float]] = defaultdict(list)
    away: defaultdict[int, list[float]] = defaultdict(list)
    spans: dict[int, tuple[int, int]] = {}
    for number, frame in enumerate(frames):
        for face in frame.faces:
            left, top, right, bottom = face.box
            sides[face.track].append(max(right - left, bottom - top))
            spans[face.track] = (spans.get(face.track, (number, 0))[0], number)
            if told is not None:
                width, height = frame.size_wh
                away[face.track].append(
                    np.hypot((left + right) / 2 / width - told[0], (top + bottom) / 2 / height - told[1])
                )
    if not sides:
        return set()
    by_size = sorted(sides, key=lambda track: (-float(np.square(sides[track]).sum()), track))
    main = by_size[0] if told is None else min(by_size, key=lambda track: float(np.mean(away[track])))
    chosen = {main}
    for track in by_size:
        apart = all(spans[track][1] < spans[other][0] or spans[track][0] > spans[other][1] for other in chosen)
        if apart and np.mean(sides[track]) >= same_size * np.mean(sides[main]):
            chosen.add(track)
    return chosen
