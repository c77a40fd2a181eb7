"""What the puppet corpora are made of: the section `puppets` of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from pipeline.params.strict import Strict

FrameSize = tuple[Annotated[int, Field(ge=256, multiple_of=2)], Annotated[int, Field(ge=256, multiple_of=2)]]


class CorpusParams(Strict):
    """One corpus: who is in it, how it looks and how it is annotated.

    Attributes:
        annotation: "voxceleb1" (integer boxes in a 360-high frame) or "voxceleb2" (fractions of the frame).
        palette: key of `pipeline.puppets.people.PALETTES`: hair, clothes, backgrounds and light.
        train_people: number of people whose clips are for training.
        test_people: number of people whose clips are for testing.
        first_train_id: number of the first training person; 10001 is id10001.
        first_test_id: number of the first test person.
    """

    annotation: Literal["voxceleb1", "voxceleb2"]
    palette: str
    train_people: Annotated[int, Field(ge=0, le=5000)]
    test_people: Annotated[int, Field(ge=0, le=5000)]
    first_train_id: Annotated[int, Field(ge=0, le=99999)]
    first_test_id: Annotated[int, Field(ge=0, le=99999)]


class PuppetParams(Strict):
    """Everything that changes a puppet video.

    Attributes:
        seed: seed of all corpora; people of different seeds are different people.
        frames: length of a clip in frames of 25 per second; other rates keep the duration.
        frame_sizes: (height, width) of the videos, dealt out in turn.
        fps: frame rates, dealt out in turn.
        crf: constant rate factor of x264.
        preset: x264's preset.
        yaw_deg: largest head yaw of an ordinary clip.
        wide_yaw_deg: largest head yaw of a wide clip.
        wide_share: share of clips that are wide.
        pitch_deg: largest pitch.
        roll_deg: largest roll.
        face_follow: share of the face's wandering over the frame, which turning the head causes, that is taken back; a
            tube of boxes (FOMM's rule) holds only while they overlap the first.
        face_share: longer side of the union of a clip's face boxes as a share of the frame's shorter side.
        texture_size: side of a person's texture in pixels.
        corpora: the corpora by name.
    """

    seed: Annotated[int, Field(ge=0, lt=1000)]
    frames: PositiveInt
    frame_sizes: list[FrameSize]
    fps: list[PositiveInt]
    crf: Annotated[int, Field(ge=0, le=51)]
    preset: str
    yaw_deg: Annotated[float, Field(ge=0, le=85)]
    wide_yaw_deg: Annotated[float, Field(ge=0, le=85)]
    wide_share: Annotated[float, Field(ge=0, le=1)]
    pitch_deg: Annotated[float, Field(ge=0, le=60)]
    roll_deg: Annotated[float, Field(ge=0, le=60)]
    face_follow: Annotated[float, Field(ge=0, le=1)]
    face_share: Annotated[float, Field(gt=0.2, lt=0.8)]
    texture_size: Annotated[int, Field(ge=128, le=2048, multiple_of=128)]
    corpora: dict[str, CorpusParams]
