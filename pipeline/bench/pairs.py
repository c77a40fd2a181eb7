"""The test pairs: one seeded list of (source frame, driving frame) for all methods.

Same identity: two frames of one clip, as a forward and a backward pair (paper, section 4: both temporal
directions). Cross identity: frames of two different people. Every person is a source equally often.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.bench.pair_hash import pairs_sha256
from pipeline.params.data import PairParams
from pipeline.store.columns import numbers, texts
from pipeline.store.schema import PAIRS

FITTED = ("clip", "frame", "status")  # what is asked of a table of fits
Frame = tuple[str, int]  # clip, frame of the clip
Rows = list[dict[str, object]]


def usable_frames(index: pa.Table, fits: Sequence[pa.Table]) -> dict[str, dict[str, dict[str, list[int]]]]:
    """Frames whose fit is ok in every table: data set -> person -> clip -> ascending frames.

    People and clips without a usable frame stay as empty entries, so that they can be reported.
    """
    good = [_ok_frames(table) for table in fits]
    frames_of = defaultdict(list)
    for clip in good[0] if good else ():
        frames_of[clip] = sorted(set.intersection(*(ok.get(clip, set()) for ok in good)))
    usable: dict[str, dict[str, dict[str, list[int]]]] = {}
    for row in index.select(["dataset", "person", "clip"]).to_pylist():
        people = usable.setdefault(row["dataset"], {})
        people.setdefault(row["person"], {})[row["clip"]] = frames_of[row["clip"]]
    return usable


def _ok_frames(table: pa.Table) -> dict[str, set[int]]:
    """Frames of each clip whose fit is ok."""
    found: dict[str, set[int]] = defaultdict(set)
    rows = table.filter(pc.equal(table["status"], "ok"))
    for clip, frame in zip(texts(rows["clip"]).tolist(), numbers(rows["frame"]).tolist(), strict=True):
        found[clip].add(frame)
    return found


def draw_pairs(index: pa.Table, fits: Sequence[pa.Table], params: PairParams) -> tuple[pa.Table, list[str]]:
    """Draw the pairs of every data set and task.

    The draw of a person depends on the seed, the data set, the task and that person's name, so that
    for same identity another person more or less changes nobody else's pairs.

    Args:
        index: schema `INDEX`, the test clips.
        fits: fits of those clips, one table a head.
        params: how many, and the seed.

    Returns:
        The pairs (schema `PAIRS`, `sha256` in the metadata), and a sentence for every shortage.
    """
    rows: Rows = []
    shortages: list[str] = []
    for dataset, people in usable_frames(index, fits).items():
        same, cross = [], []
        for person, clips in sorted(people.items()):
            same += _same(person, clips, _generator(params.seed, dataset, "same", person), params.per_person)
            if not any(len(frames) > 1 for frames in clips.values()):
                shortages.append(f"{dataset}: {person} has no clip with two usable frames: no same-identity pairs")
        fitted = {person: clips for person, clips in people.items() if any(clips.values())}
        if len(fitted) < 2:
            shortages.append(f"{dataset}: {len(fitted)} of {len(people)} people usable: no cross-identity pairs")
        else:
            for person in sorted(fitted):
                cross += _cross(person, fitted, _generator(params.seed, dataset, "cross", person), params.per_person)
        rows += _name(same, dataset, "same") + _name(cross, dataset, "cross")
    assert all((row["source_person"] != row["driving_person"]) == (row["task"] == "cross") for row in rows)
    table = pa.Table.from_pylist(rows, schema=PAIRS)
    return table.replace_schema_metadata({"sha256": pairs_sha256(table)}), shortages


def _same(person: str, clips: dict[str, list[int]], rng: np.random.Generator, count: int) -> Rows:
    long_enough = {clip: frames for clip, frames in clips.items() if len(frames) > 1}
    rows: Rows = []
    for _ in range(count // 2 if long_enough else 0):
        clip = str(rng.choice(sorted(long_enough)))
        early, late = sorted(rng.choice(long_enough[clip], 2, replace=False).tolist())
        rows += [_row(person, (clip, early), person, (clip, late)), _row(person, (clip, late), person, (clip, early))]
    return rows


def _cross(person: str, people: dict[str, dict[str, list[int]]], rng: np.random.Generator, count: int) -> Rows:
    """Each other person drives equally often, up to one."""
    others = sorted(set(people) - {person})
    drivers = [name for _ in range(-(-count // len(others))) for name in rng.permutation(others).tolist()][:count]
    return [_row(person, _frame(people[person], rng), driver, _frame(people[driver], rng)) for driver in drivers]


def _frame(clips: dict[str, list[int]], rng: np.random.Generator) -> Frame:
    clip = str(rng.choice(sorted(clip for clip, frames in clips.items() if frames)))
    return clip, int(rng.choice(clips[clip]))


def _row(source_person: str, source: Frame, driving_person: str, driving: Frame) -> dict[str, object]:
    return {
        "source_clip": source[0],
        "source_frame": source[1],
        "driving_clip": driving[0],
        "driving_frame": driving[1],
        "source_person": source_person,
        "driving_person": driving_person,
    }


def _name(rows: Iterable[dict[str, object]], dataset: str, task: str) -> Rows:
    return [
        {"pair_id": f"{dataset}.{task}.{number:05d}", "dataset": dataset, "task": task, **row}
        for number, row in enumerate(rows)
    ]


def _generator(seed: int, *names: str) -> np.random.Generator:
    return np.random.default_rng([seed, *(crc32(name.encode()) for name in names)])
