"""Typed parameters of the data: where videos come from, how they are cropped, which pairs are drawn."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

Rate = Field(ge=0, le=1)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SourceParams(_Strict):
    """One data set: a folder of videos and what says which parts of them are clips.

    Attributes:
        name: its name in tables and pair ids.
        kind: the form of the folder, a key of `pipeline.sources.KINDS`.
        folder: relative to `data.root`.
        annotations: relative to the folder: the annotation tree, or the csv; null where there is none.
        videos: relative to the folder: where the video files lie.
        split: how people are divided: `listed` (the csv's partition, or people.parquet in the folder),
            `official` (VoxCeleb1's forty test people) or `test` (all of them).
    """

    name: str = Field(pattern=r"^[^.#/\s]+$")
    kind: Literal["voxceleb1", "voxceleb2", "fomm_csv", "vox2_release"]
    folder: str
    annotations: str | None
    videos: str
    split: Literal["listed", "official", "test"]

    @model_validator(mode="after")
    def _annotations_suit_the_kind(self) -> "SourceParams":
        if (self.kind == "vox2_release") != (self.annotations is None):
            raise ValueError(f"kind {self.kind}: annotations must be {'null' if self.annotations else 'a path'}")
        if self.kind == "vox2_release" and self.split == "listed":
            raise ValueError("kind vox2_release lists no split: choose split official or test")
        return self


class DataParams(_Strict):
    """The two test sets of the tables; the people of `first` who are not for testing are trained on.

    Attributes:
        root: the folder that everything else is relative to.
        heads: the folder of head files that the stage `heads` reads, relative to the root.
    """

    root: str
    heads: str
    first: SourceParams
    second: SourceParams

    @model_validator(mode="after")
    def _names_differ(self) -> "DataParams":
        if self.first.name == self.second.name:
            raise ValueError(f"data.first and data.second have the same name {self.first.name!r}")
        return self


class TubeParams(_Strict):
    """FOMM's rules for cutting an annotated track into clips with one fixed box (crop_vox.py)."""

    iou_with_first: float = Rate
    min_frames: PositiveInt
    max_frames: PositiveInt
    min_size_px: PositiveInt
    increase: float = Field(ge=0)
    enlarge: Literal["square", "sides"]
    outside: Literal["reject", "clip"]


class CropParams(_Strict):
    """Everything that changes a cropped clip's bytes, and how many clips may fail."""

    size_px: PositiveInt
    jpeg_quality: int = Field(ge=1, le=100)
    shard_mb: PositiveInt
    tube: TubeParams
    max_fail_rate: float = Rate
    max_missing_rate: float = Rate


class PairParams(_Strict):
    """How many pairs each test person gives to each task of each data set."""

    seed: int = Field(ge=0)
    per_person: PositiveInt = Field(multiple_of=2)
