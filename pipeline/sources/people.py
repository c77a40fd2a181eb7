"""Who is trained on and who is tested on: the official people of both VoxCelebs, or a list of the user's own."""

import re
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.params.data import SourceParams
from pipeline.sources.request import SourceError
from pipeline.store.provenance import plain_path
from pipeline.work.ledger import ClipError

# 1,251 people, id10001 to id11251, of whom these forty are the test set (voxceleb1_meta.csv; TEST_PERSONS of
# video-preprocessing's crop_vox.py).
VOXCELEB1_TEST_PEOPLE = frozenset(f"id{number}" for number in range(10270, 10310))
VOXCELEB1_NUMBERS = range(10001, 11252)

# 6,112 people below id10000, of whom these 118 are the test set (same sources).
VOXCELEB2_TEST_PEOPLE = frozenset(
    f"id{number:05d}"
    for number in (
        17, 61, 81, 154, 419, 562, 812, 817, 866, 926, 1000, 1041, 1066, 1106, 1224, 1228, 1298, 1333, 1437, 1460,
        1509, 1541, 1567, 1593, 1618, 1822, 1892, 1989, 2019, 2057, 2086, 2181, 2286, 2317, 2445, 2465, 2542, 2548,
        2576, 2577, 2685, 2725, 2745, 3030, 3041, 3127, 3178, 3347, 3382, 3524, 3677, 3789, 3839, 3862, 3969, 3978,
        3980, 3981, 4006, 4030, 4094, 4119, 4232, 4253, 4276, 4295, 4366, 4478, 4536, 4570, 4627, 4656, 4657, 4862,
        4950, 5015, 5055, 5124, 5176, 5202, 5459, 5594, 5654, 5714, 5816, 5850, 5999, 6104, 6209, 6310, 6484, 6692,
        6811, 6816, 6913, 7312, 7354, 7396, 7414, 7426, 7494, 7620, 7621, 7663, 7802, 7868, 7874, 7961, 8149, 8374,
        8392, 8456, 8548, 8552, 8696, 8701, 8911, 9017,
    )
)  # fmt: skip


def official_split(person: str) -> str:
    """Return "train" or "test" for a person of VoxCeleb1 or 2; their ids do not overlap.

    Raises:
        ClipError: `bad_annotation`, the id is of neither set.
    """
    if person in VOXCELEB1_TEST_PEOPLE or person in VOXCELEB2_TEST_PEOPLE:
        return "test"
    number = int(person[2:]) if re.fullmatch(r"id[0-9]{5}", person) else -1
    if number in VOXCELEB1_NUMBERS or 0 < number < 10_000:
        return "train"
    raise ClipError("bad_annotation", f"{person} is no person of VoxCeleb: split `official` cannot place them")


class PersonSplit:
    """Says whether a person is trained on or tested on, as `SourceParams.split` asks."""

    def __init__(self, source: SourceParams, folder: Path) -> None:
        self._rule = source.split
        self._listed: dict[str, str] = {}
        self._table = folder / "people.parquet"
        if self._rule == "listed":
            if not self._table.is_file():
                raise SourceError(f"{source.name}: split `listed` needs {self._table} (columns person, split)")
            try:
                table = pq.read_table(plain_path(self._table), columns=["person", "split"])
            except (OSError, ValueError) as error:
                raise SourceError(f"{source.name}: {self._table} is no table of person and split: {error}") from error
            self._listed = dict(zip(*(table[name].to_pylist() for name in ("person", "split")), strict=True))

    def __call__(self, person: str) -> str:
        """Return "train" or "test"; a person that cannot be placed raises ClipError."""
        if self._rule == "test":
            return "test"
        if self._rule == "official":
            return official_split(person)
        if self._listed.get(person) not in ("train", "test"):
            raise ClipError("bad_annotation", f"{self._table} gives no split (train or test) for {person}")
        return self._listed[person]
