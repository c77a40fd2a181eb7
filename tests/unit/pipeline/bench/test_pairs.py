import pyarrow as pa
import pytest
from pydantic import ValidationError

from pipeline.bench.pairs import draw_pairs, pairs_sha256
from pipeline.params.data import PairParams
from pipeline.store.schema import INDEX, metadata_of, read_table, write_table
from stages import pairs as stage

PARAMS = PairParams(seed=3, per_person=22)
FRAMES = 20


def make_index(people):
    """`people`: data set -> person -> number of clips."""
    rows = [
        dict.fromkeys(INDEX.names) | {"clip": f"{person}#v{i}", "dataset": dataset, "person": person}
        for dataset, members in people.items()
        for person, count in members.items()
        for i in range(count)
    ]
    return pa.Table.from_pylist(rows, schema=INDEX)


def make_fits(index, bad=()):
    clips = [clip for clip in index["clip"].to_pylist() for _ in range(FRAMES)]
    frames = list(range(FRAMES)) * index.num_rows
    status = ["no_face" if (c, f) in bad else "ok" for c, f in zip(clips, frames, strict=True)]
    return pa.table({"clip": clips, "frame": pa.array(frames, pa.int32()), "status": status})


@pytest.fixture(scope="module")
def index():
    twelve = {f"id{i:02d}": 1 + i % 2 for i in range(12)}
    return make_index({"VoxCeleb1": twelve, "VoxCeleb2": {f"x{i}": 1 for i in range(12)}})


def rows_of(table, dataset, task):
    return [row for row in table.to_pylist() if (row["dataset"], row["task"]) == (dataset, task)]


def test_every_person_gives_as_many_pairs_and_ids_are_stable_text(index):
    table, shortages = draw_pairs(index, [make_fits(index)] * 2, PARAMS)
    assert shortages == []
    for dataset in ("VoxCeleb1", "VoxCeleb2"):
        for task in ("same", "cross"):
            rows = rows_of(table, dataset, task)
            assert len(rows) == 264
            assert rows[12]["pair_id"] == f"{dataset}.{task}.00012"
            counts = {p: sum(row["source_person"] == p for row in rows) for p in {r["source_person"] for r in rows}}
            assert set(counts.values()) == {22}
    assert len(set(table["pair_id"].to_pylist())) == table.num_rows == 4 * 264


def test_same_identity_has_both_directions_within_one_clip(index):
    table, _ = draw_pairs(index, [make_fits(index)] * 2, PARAMS)
    rows = rows_of(table, "VoxCeleb1", "same")
    assert all(row["source_clip"] == row["driving_clip"] for row in rows)
    assert all(row["source_frame"] != row["driving_frame"] for row in rows)
    for forward, backward in zip(rows[::2], rows[1::2], strict=True):
        assert forward["source_frame"] < forward["driving_frame"]
        assert (backward["source_frame"], backward["driving_frame"]) == (
            forward["driving_frame"],
            forward["source_frame"],
        )
    assert len({(row["source_clip"], row["source_frame"]) for row in rows}) > 100


def test_cross_identity_never_pairs_a_person_with_itself(index):
    table, _ = draw_pairs(index, [make_fits(index)] * 2, PARAMS)
    rows = rows_of(table, "VoxCeleb1", "cross")
    assert all(row["source_person"] != row["driving_person"] for row in rows)
    assert all(row[f"{side}_clip"].startswith(row[f"{side}_person"]) for row in rows for side in ("source", "driving"))
    drivers = [row["driving_person"] for row in rows if row["source_person"] == "id00"]
    assert sorted(drivers) == sorted(2 * [f"id{i:02d}" for i in range(1, 12)])


def test_a_frame_must_be_ok_on_every_head(index):
    clip = "id00#v0"
    first, second = {(clip, f) for f in range(0, 10)}, {(clip, f) for f in range(10, 18)}
    table, _ = draw_pairs(index, [make_fits(index, first), make_fits(index, second)], PARAMS)
    used = {row[f"{s}_frame"] for row in table.to_pylist() for s in ("source", "driving") if row[f"{s}_clip"] == clip}
    assert used == {18, 19}


def test_the_seed_decides_and_other_people_do_not(index):
    fits = [make_fits(index)] * 2
    one, _ = draw_pairs(index, fits, PARAMS)
    again, _ = draw_pairs(index, fits, PARAMS)
    other, _ = draw_pairs(index, fits, PairParams(seed=4, per_person=22))
    assert one.equals(again)
    assert metadata_of(one)["sha256"] == metadata_of(again)["sha256"] == pairs_sha256(one)
    assert metadata_of(other)["sha256"] != metadata_of(one)["sha256"]
    fewer = make_index({"VoxCeleb1": {f"id{i:02d}": 1 + i % 2 for i in range(6)}})
    some, _ = draw_pairs(fewer, [make_fits(fewer)], PARAMS)
    assert rows_of(some, "VoxCeleb1", "same") == rows_of(one, "VoxCeleb1", "same")[: 6 * 22]


def test_one_person_has_no_cross_pairs_and_the_message_says_so():
    index = make_index({"VoxCeleb1": {"only": 1}, "VoxCeleb2": {"a": 1, "b": 1, "c": 1}})
    bad = {("c#v0", f) for f in range(FRAMES)}
    table, shortages = draw_pairs(index, [make_fits(index, bad)], PARAMS)
    assert (len(rows_of(table, "VoxCeleb1", "same")), len(rows_of(table, "VoxCeleb1", "cross"))) == (22, 0)
    assert "VoxCeleb1: 1 of 1 people usable: no cross-identity pairs" in shortages
    assert any(shortage.startswith("VoxCeleb2: c has no clip") for shortage in shortages)
    assert {row["driving_person"] for row in rows_of(table, "VoxCeleb2", "cross")} == {"a", "b"}


def test_the_stage_writes_the_list_and_its_hash(tmp_path, index):
    write_table(tmp_path / "eval" / "index.parquet", index)
    fits = [tmp_path / "one.parquet", tmp_path / "two.parquet"]
    for path in fits:
        write_table(path, make_fits(index))
    stage.run(tmp_path / "eval", fits, tmp_path / "pairs.parquet", PARAMS)
    table = read_table(tmp_path / "pairs.parquet")
    assert metadata_of(table)["sha256"] == pairs_sha256(table)
    write_table(fits[1], make_fits(index, {(c, f) for c in index["clip"].to_pylist() for f in range(FRAMES)}))
    with pytest.raises(RuntimeError, match="no pair can be drawn"):
        stage.run(tmp_path / "eval", fits, tmp_path / "pairs.parquet", PARAMS)


def test_an_odd_number_per_person_is_refused():
    with pytest.raises(ValidationError, match="multiple of 2"):
        PairParams(seed=0, per_person=21)
