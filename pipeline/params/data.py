"""Typed parameters of the data: where videos come from, how they are cropped, which pairs are drawn."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PositiveInt, model_validator

from pipeline.params.strict import Strict

Rate = Field(ge=0, le=1)


Kind = Literal["voxceleb1", "voxceleb2", "fomm_csv", "vox2_release", "crops", "video_folder", "people_folder"]
Split = Literal["listed", "official", "seeded", "test"]

# What each kind can say: whether its clips stand in an annotation file or tree, and how its people are divided.
ANNOTATED: frozenset[Kind] = frozenset({"voxceleb1", "voxceleb2", "fomm_csv", "video_folder"})
SPLITS: dict[Kind, tuple[Split, ...]] = {
    "voxceleb1": ("listed", "official", "test"),
    "voxceleb2": ("listed", "official", "test"),
    "fomm_csv": ("listed", "official", "test"),
    "vox2_release": ("official", "test"),
    "crops": ("listed", "official", "test"),
    "video_folder": ("listed", "test"),
    "people_folder": ("seeded", "listed", "test"),
}
LANDMARKED: frozenset[Kind] = frozenset({"video_folder", "people_folder"})
FACES_SOUGHT: Kind = "people_folder"  # nobody says where faces are: the stage `landmarks` looks
MANIFEST_SUFFIX = ".manifest.csv"


class FaceParams(Strict):
    """How the person's face is followed through a video; boxes span the mesh's points.

    Attributes:
        detect_every: frames between two looks for new faces; where a face was lost, it is looked for at once.
        overlap: least intersection over union of two boxes of one face, and largest of two faces'.
        gap_frames: a face that was away for longer is another one when it comes back.
        same_size: a face that is never seen together with the person's is the person's as well, if its mean side is at
            least this share of it.
        cut_levels: mean change of a picture, in grey levels of 0 to 255, that is a scene cut.
    """

    detect_every: PositiveInt
    overlap: float = Rate
    gap_frames: int = Field(ge=0)
    same_size: float = Rate
    cut_levels: float = Field(gt=0, le=255)


class SourceParams(Strict):
    """One data set: a folder of videos and what says which parts of them are clips (docs/sources.md has one of each).

    Attributes:
        name: its name in tables and pair ids.
        kind: the form of the folder, a key of `pipeline.sources.listing.KINDS`.
        folder: relative to `data.root`.
        watch: what DVC looks at to see whether the data changed, relative to `data.root`: the folder, or a
            file NAME.manifest.csv that `pwm data scan` writes, for folders too large to be hashed.
        annotations: relative to the folder: the annotation tree, the csv or the landmark table; null where
            there is none.
        videos: relative to the folder: where the video files lie.
        split: how people are divided: `listed` (the csv's partition, the crops' folders train and test, or
            people.parquet in the folder; people.csv in a people's folder), `official` (the test people that VoxCeleb1
            and 2 name: 40 and 118), `seeded` (`test_share` of them, drawn by `split_seed`) or `test` (all of them).
        detections: of the annotation trees: relative to the folder, a table of detected faces that replace the
            annotated boxes, as in FOMM's tool; `pwm data detect` writes it.
        forehead: of the kinds with landmarks: how far a face's box reaches above its landmarks, in their height.
        faces: of kind `people_folder`: how the stage `landmarks` finds the person in each video.
        test_share, split_seed: of split `seeded`.
    """

    name: str = Field(pattern=r"^[^.#/\s]+$")
    kind: Kind
    folder: str
    watch: str
    annotations: str | None
    videos: str
    split: Split
    forehead: float | None = Field(default=None, ge=0)
    detections: str | None = None
    faces: FaceParams | None = None
    test_share: float | None = Field(default=None, gt=0, lt=1)
    split_seed: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _fields_suit_the_kind(self) -> "SourceParams":
        if (self.kind in ANNOTATED) != (self.annotations is not None):
            raise ValueError(f"kind {self.kind}: annotations must be {'null' if self.annotations else 'a path'}")
        if self.split not in SPLITS[self.kind]:
            raise ValueError(f"kind {self.kind} has no split {self.split}: choose {' or '.join(SPLITS[self.kind])}")
        if (self.kind in LANDMARKED) != (self.forehead is not None):
            which = "needs" if self.forehead is None else "has no"
            raise ValueError(f"kind {self.kind} {which} forehead (0.4 suits 68 landmarks)")
        if (self.kind == FACES_SOUGHT) != (self.faces is not None):
            which = "needs" if self.faces is None else "has no"
            raise ValueError(f"kind {self.kind} {which} section faces (profiles/own.yaml has one)")
        if {self.split == "seeded"} != {self.test_share is not None, self.split_seed is not None}:
            raise ValueError(f"split {self.split}: test_share and split_seed belong to split seeded, both of them")
        if self.detections is not None and self.kind not in ("voxceleb1", "voxceleb2"):
            raise ValueError(f"kind {self.kind} has no detections: they replace boxes of an annotation tree")
        if self.watch != self.folder and not self.watch.endswith(MANIFEST_SUFFIX):
            raise ValueError(
                f"watch is {self.watch!r}: expected the folder {self.folder!r} or a manifest NAME{MANIFEST_SUFFIX}"
            )
        return self


class DataParams(Strict):
    """The test sets of the tables, two or one; the people of `first` who are not for testing are trained on.

    Attributes:
        root: the folder that everything else is relative to.
        heads: the folder of head files that the stage `heads` reads, relative to the root.
        second: null where there is one data set only.
        watch_second: `watch` of the second data set. It stands here because dvc.yaml asks for it, and DVC finds nothing
            below a null; where there is no second data set, it may name whatever is there.
    """

    root: str
    heads: str
    first: SourceParams
    second: SourceParams | None
    watch_second: str

    @model_validator(mode="before")
    @classmethod
    def _watch_stands_in_one_place(cls, raw: Any) -> Any:
        second = raw.get("second") if isinstance(raw, Mapping) else None
        if not isinstance(second, Mapping):
            return raw
        if "watch" in second:
            raise ValueError("data.second.watch stands one level higher: write it as data.watch_second")
        return {**raw, "second": {**second, "watch": raw.get("watch_second", second.get("folder"))}}

    @model_validator(mode="after")
    def _names_differ(self) -> "DataParams":
        if self.second and self.first.name == self.second.name:
            raise ValueError(f"data.first and data.second have the same name {self.first.name!r}")
        return self

    def sources(self) -> dict[str, SourceParams]:
        """The data sets that there are, by where they stand in params.yaml: `data.first`, and maybe `data.second`."""
        return {"data.first": self.first} | ({"data.second": self.second} if self.second else {})

    def root_folder(self) -> Path:
        """The root as a path of the working folder.

        Raises:
            ValueError: it leads out of the project, and this is the copy that DVC makes for `dvc exp run --temp` and
                `--queue`, from where it leads elsewhere.
        """
        main, here = Path(os.environ.get("DVC_ROOT", ".")).resolve(), Path.cwd().resolve()
        if here != main and here.is_relative_to(main / ".dvc") and os.path.normpath(self.root).startswith(".."):
            raise ValueError(
                f"data.root = {self.root} leads out of the project, and from DVC's copy of it to another folder: "
                f"`-S data.root={os.path.normpath(main / self.root)}`, or write that into params.yaml"
            )
        return Path(self.root)


class TubeParams(Strict):
    """FOMM's rules for cutting an annotated track into clips with one fixed box (crop_vox.py).

    Attributes:
        pixels: what sides are measured in, where a video's pixels are not square (a DVD's): `stored`, the file's own
            as FOMM's tools do, so that a face is squeezed as the file squeezes it; or `square`, as a player shows it.
    """

    iou_with_first: float = Rate
    min_frames: PositiveInt
    max_frames: PositiveInt
    min_size_px: PositiveInt
    increase: float = Field(ge=0)
    enlarge: Literal["square", "sides"]
    outside: Literal["reject", "clip"]
    pixels: Literal["stored", "square"]


class CropParams(Strict):
    """Everything that changes a cropped clip's bytes, and how many clips may fail."""

    size_px: PositiveInt
    resize: Literal["triangle_antialias", "gaussian_antialias"]
    jpeg_quality: int = Field(ge=1, le=100)
    shard_mb: PositiveInt
    tube: TubeParams
    max_fail_rate: float = Rate
    max_missing_rate: float = Rate


class PairParams(Strict):
    """How many pairs each test person gives to each task of each data set."""

    seed: int = Field(ge=0)
    per_person: PositiveInt = Field(multiple_of=2)
