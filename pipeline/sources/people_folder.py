"""Videos of people and nothing else: <person>/<any name>.<video>, or one flat folder where each video is a person.

Where in them the faces are, the stage `landmarks` has found out (`pipeline.landmarks`). From there on clips are cut as
`pipeline.sources.video_folder` cuts them.
"""

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.params.data import SourceParams, TubeParams
from pipeline.sources.boxes import Box, TubeBox
from pipeline.sources.request import ClipList, ClipRequest, SourceError, clip_name
from pipeline.sources.video_files import VIDEO_SUFFIXES
from pipeline.sources.video_folder import read_faces, tubes
from pipeline.store.landmark_table import FOUND_LANDMARKS, FOUND_LEDGER
from pipeline.store.provenance import sha256_text
from pipeline.store.schema import LEDGER, read_table
from pipeline.work.foreign_files import own_entries
from pipeline.work.ledger import LedgerRow

PEOPLE = "people.csv"  # columns person, split; of split `listed`
FACES = "faces.csv"  # columns person, video, x, y: which of several faces is the person (pipeline.landmarks)
TEST_PEOPLE = 2  # the fewest: a pair of different people needs them


@dataclass(frozen=True)
class PersonVideo:
    """One video: `video` is its file's name, whole, because two files may differ in their container alone."""

    person: str
    video: str
    path: Path

    @property
    def fault(self) -> str:
        """Why its names cannot stand in tables; empty where they can."""
        wrong = [name for name in (self.person, self.video) if "#" in name or not name.isprintable()]
        return f"rename {wrong[0]!r}: names have no # and nothing that cannot be printed" if wrong else ""


def find_videos(folder: Path) -> tuple[list[PersonVideo], list[Path]]:
    """Find the videos of a folder of people, sorted by name, and all that is none: photos, sound, what lies deeper."""
    videos: list[PersonVideo] = []
    others: list[Path] = []

    def take(path: Path, person: str) -> None:
        if path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES:
            videos.append(PersonVideo(person, path.name, path))
        else:
            others.append(path)

    for entry in own_entries(folder):
        if entry.is_dir():
            for path in own_entries(entry):
                take(path, entry.name)
        elif entry.name not in (PEOPLE, FACES):
            take(entry, entry.stem)
    return sorted(videos, key=lambda video: (video.person, video.video)), others


def list_people(source: SourceParams, folder: Path, tube: TubeParams, found: Path) -> ClipList:
    """List the tubes of every person's face; videos in which the stage `landmarks` found none are ledger rows.

    Args:
        source: its parameters.
        folder: of the data set.
        tube: rules by which tracks are cut.
        found: what the stage `landmarks` wrote of this data set.

    Raises:
        SourceError: that stage has not run on these videos, or there are too few people.
    """
    try:
        rows = read_table(found / FOUND_LEDGER, LEDGER).to_pylist()
    except (FileNotFoundError, ValueError) as error:
        raise SourceError(f"{source.name}: {error} (stage `landmarks`)") from error
    videos = {(video.person, video.video): video for video in find_videos(folder / source.videos)[0]}
    if strange := {(row["person"], row["video"]) for row in rows} ^ videos.keys():
        raise SourceError(
            f"{source.name}: {found} is not of the videos in {folder}, such as {'/'.join(min(strange))}: "
            "run the stage `landmarks`"
        )
    faces = read_faces(found / FOUND_LANDMARKS, source.forehead or 0.0)
    runs = {key: list(tubes(*faces[key], tube)) for key in sorted(videos.keys() & faces.keys())}
    split_of = _split(source, folder, tube, {person for person, _ in videos}, runs)
    clips = ClipList()
    for row in rows:
        if row["reason"] != "ok":
            split = split_of.get(row["person"], "train")
            fault = (row["clip"], row["person"], row["video"], row["reason"], row["detail"])
            clips.unreadable.append(LedgerRow(source.name, split, *fault))
    for (person, video), pieces in runs.items():
        for first, end, box in pieces:
            clips.requests.append(
                ClipRequest(
                    clip=clip_name(person, video, first, end),
                    dataset=source.name,
                    split=split_of[person],
                    person=person,
                    video=video,
                    start=first,
                    end=end,
                    box=TubeBox(box, "px"),
                    path=videos[person, video].path,
                    min_frames=tube.min_frames,
                    reference_fps=None,
                )
            )
    return clips


def seeded_split(people: Iterable[str], test_share: float, seed: int) -> dict[str, str]:
    """Divide people: those whose hashed names come first are tested, two at least and not all of them."""
    order = sorted(people, key=lambda person: sha256_text(seed, person))
    count = min(max(TEST_PEOPLE, round(test_share * len(order))), len(order) - 1)
    return {person: "test" if number < count else "train" for number, person in enumerate(order)}


def _split(
    source: SourceParams,
    folder: Path,
    tube: TubeParams,
    people: set[str],
    runs: Mapping[tuple[str, str], list[tuple[int, int, Box]]],
) -> dict[str, str]:
    """Who is trained on and who is tested on; people of whom no clip can be made are not counted.

    Raises:
        SourceError: too few people are left; the message says what would be enough.
    """
    longest: dict[str, int] = defaultdict(int, dict.fromkeys(people, 0))
    for (person, _), pieces in runs.items():
        large = [end - first for first, end, box in pieces if _side(box) >= tube.min_size_px]
        longest[person] = max(longest[person], *large, 0)
    usable = {person for person, length in longest.items() if length >= tube.min_frames}
    if source.split == "seeded":
        split = seeded_split(usable, source.test_share or 0, source.split_seed or 0)
    elif source.split == "listed":
        split = _listed(source, folder / PEOPLE, people)
    else:
        split = dict.fromkeys(people, "test")
    tested = sum(split.get(person) == "test" for person in usable)
    trained = sum(split.get(person) == "train" for person in usable)
    if tested < TEST_PEOPLE or (source.split != "test" and not trained):
        enough = (
            f"{TEST_PEOPLE} to test on are enough"
            if source.split == "test"
            else f"{TEST_PEOPLE + 1} people are enough, {TEST_PEOPLE} to test on and one to train on"
        )
        short = [f"{person} has {longest[person]} such frames" for person in sorted(people - usable)]
        raise SourceError(
            f"{source.name}: {folder} gives {trained} people to train on and {tested} to test on with at least "
            f"{tube.min_frames} frames on end (crop.tube.min_frames) of a face of {tube.min_size_px} px "
            f"(crop.tube.min_size_px): {enough}" + (f"; {', '.join(short[:3])}" if short else "")
        )
    return {person: split.get(person, "train") for person in people}


def _side(box: Box) -> float:
    return max(box[2] - box[0], box[3] - box[1])


def _listed(source: SourceParams, path: Path, people: set[str]) -> dict[str, str]:
    """Read people.csv.

    Raises:
        SourceError: there is none, it has other columns or another split than train and test, or lacks a person.
    """
    rows = read_csv(source.name, path, ("person", "split"))
    for line, row in enumerate(rows, 2):
        if row["split"] not in ("train", "test"):
            raise SourceError(f"{source.name}: {path}:{line}: split is {row['split']!r}, expected train or test")
    split = {row["person"]: row["split"] for row in rows}
    if lost := people - split.keys():
        raise SourceError(f"{source.name}: {path} has no line for {min(lost)}: each person needs one (person,split)")
    return split


def read_csv(name: str, path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """Read a small table that a user wrote.

    Raises:
        SourceError: it is missing, or a line has other columns.
    """
    if not path.is_file():
        raise SourceError(f"{name}: there is no {path}: it holds a header {','.join(columns)} and lines below it")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            rows = list(reader)
    except (csv.Error, UnicodeDecodeError) as error:
        raise SourceError(f"{name}: {path} is no csv file: {error}") from error
    if tuple(reader.fieldnames or ()) != columns:
        raise SourceError(
            f"{name}: {path}: the header is {','.join(reader.fieldnames or ())}, expected {','.join(columns)}"
        )
    for line, row in enumerate(rows, 2):
        if set(row) != set(columns) or None in row.values():
            raise SourceError(f"{name}: {path}:{line}: expected {len(columns)} values: {','.join(columns)}")
    return rows
