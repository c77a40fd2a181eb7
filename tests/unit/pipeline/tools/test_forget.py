"""Forgetting a person or a video: nothing of it is left, nothing else changes, and it does not come back."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import stages.crop
import stages.fit
from pipeline.bench.pair_hash import pairs_sha256
from pipeline.params.tree import load_params
from pipeline.sources.forgotten import ForgottenList
from pipeline.store.schema import PAIRS, PREDICTIONS, SCORES, features_schema, metadata_of, read_table, write_table
from pipeline.store.scratch_root import scratch_dir, scratch_root
from pipeline.store.shown import name_people
from pipeline.tools.data_status import data_status
from pipeline.tools.forget import DataFolders, forget
from tests.small_corpus import HEAD, digests, make_corpus, person

GONE = person(2)  # the test person of videos 2


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Six clips of three test and three training people, their fits, a pair of each kind, and its predictions."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    make_corpus(tmp_path, 6, frames=8)
    run_stages(tmp_path)
    clips = {p: f"{p}#v{n:03d}#000000#000008" for n in (0, 2, 4) for p in [person(n)]}
    a, b, c = clips
    pairs = [("x0", a, a), ("x1", b, b), ("x2", a, b), ("x3", b, c), ("x4", c, a)]
    rows = [
        {"pair_id": i, "dataset": "D", "task": "same" if s == d else "cross", "source_clip": clips[s],
         "source_frame": 0, "driving_clip": clips[d], "driving_frame": 1, "source_person": s, "driving_person": d}
        for i, s, d in pairs
    ]  # fmt: skip
    table = pa.Table.from_pylist(rows, schema=PAIRS)
    write_table(tmp_path / "data" / "pairs.parquet", table, {"sha256": pairs_sha256(table), "seed": "1"})
    results = tmp_path / "data" / "results" / "m"
    scores = [{**dict.fromkeys(SCORES.names, "m"), "pair_id": i, "value": 1.0} for i, *_ in pairs]
    write_table(results / "scores.parquet", pa.Table.from_pylist(scores, schema=SCORES), {"method": "m"})
    schema = features_schema(2)
    features = [{**dict.fromkeys(schema.names, "m"), "pair_id": i, "features": [1.0, 2.0]} for i, *_ in pairs]
    write_table(results / "features" / "fid.judge.parquet", pa.Table.from_pylist(features, schema=schema))
    with pa.ipc.new_file(str(results / "predictions.arrow"), PREDICTIONS) as writer:
        frames = [{"pair_id": i, "png": i.encode()} for i, *_ in pairs]
        writer.write_table(pa.Table.from_pylist(frames, schema=PREDICTIONS))
    return tmp_path


def run_stages(root):
    params = load_params(root / "params.yaml")
    data = root / "data"
    options = {"workers": 0, "clip_timeout_s": 60, "retry": "missing"}
    stages.crop.run(params, data / "clips", root / "forgotten.txt", **options)
    head = root / "heads" / f"{HEAD}.npz"
    stages.fit.run(params, head, data / "clips", data / "fits" / HEAD, root / "report.json", device="cpu", **options)


def forget_in(root, name):
    data = root / "data"
    folders = DataFolders(
        data / "clips", data / "fits", data / "pairs.parquet", data / "results", data / "scratch", data / "own"
    )
    shard_bytes = load_params(root / "params.yaml").crop.shard_mb << 20
    return forget(name, ForgottenList.read(root / "forgotten.txt"), folders, shard_bytes)


def test_a_forgotten_person_leaves_no_trace_and_the_next_run_makes_the_same_bytes(world):
    pieces = {p for p in (world / "data" / "scratch").rglob("*") if p.is_file()}
    said = forget_in(world, GONE)
    data = world / "data"
    assert [line.split(" from ")[0] for line in said] == [
        "2 finished pieces", "1 clips", "8 frames", "3 pairs", "3 predictions", "3 rows", "3 rows"
    ]  # fmt: skip
    left = {p for p in (data / "scratch").rglob("*") if p.is_file()}
    assert (len(pieces), len(left)) == (12, 10)
    index = read_table(data / "clips" / "eval" / "index.parquet")
    assert index["person"].to_pylist() == [person(0), person(4)]
    assert index["batch"].to_pylist() == [0, 1]
    clip = f"{GONE}#v002#000000#000008"
    assert clip not in read_table(data / "fits" / HEAD / "eval.parquet")["clip"].to_pylist()
    pairs = read_table(data / "pairs.parquet")
    assert pairs["pair_id"].to_pylist() == ["x0", "x4"]
    assert metadata_of(pairs)["sha256"] == pairs_sha256(pairs)
    assert metadata_of(pairs)["seed"] == "1"
    for name in ("scores.parquet", "features/fid.judge.parquet"):
        assert read_table(data / "results" / "m" / name)["pair_id"].to_pylist() == ["x0", "x4"]
    with pa.ipc.open_file(str(data / "results" / "m" / "predictions.arrow")) as reader:
        assert reader.read_all()["png"].to_pylist() == [b"x0", b"x4"]
    after = digests(data)
    run_stages(world)
    made = digests(data)
    assert {k for k in made if made[k] != after[k] and not k.startswith("scratch")} == set()
    ledger = {row["clip"]: row for row in pq.read_table(data / "clips" / "eval" / "ledger.parquet").to_pylist()}
    assert (ledger[clip]["status"], ledger[clip]["reason"]) == ("forgotten", "forgotten")
    assert "VoxCeleb1 test: 1 forgotten, forgotten" in "\n".join(data_status(data / "clips", data / "fits", data / "x"))


def test_a_video_is_forgotten_alone_and_twice_is_once(world):
    training = digests(world / "data" / "clips" / "train")
    assert len(forget_in(world, "v004")) == 7
    assert forget_in(world, "v004") == []
    assert read_table(world / "data" / "clips" / "eval" / "index.parquet")["video"].to_pylist() == ["v000", "v002"]
    assert digests(world / "data" / "clips" / "train") == training
    assert (world / "forgotten.txt").read_text() == "v004\n"


def test_a_removal_that_was_killed_is_finished_by_the_next(world):
    (world / "forgotten.txt").write_text("# a comment\n" + GONE)
    assert len(forget_in(world, GONE)) == 7
    assert (world / "forgotten.txt").read_text() == "# a comment\n" + GONE


def test_what_scratch_holds_of_pairs_goes_with_anybody_who_is_shown(world):
    scratch = scratch_root()
    shown = {"theirs": [person(0), GONE, "v000", "v002"], "others": [person(0), person(4), "v000", "v004"]}
    for kind in ("predictions", "readings"):
        for key, names in shown.items():
            folder = scratch_dir(kind, key)
            name_people(folder, names)
            (folder / "00000000.arrow").write_bytes(b"pictures")
    (scratch / "readings" / "of the first layout").mkdir(parents=True)
    (scratch_dir("predictions", "killed") / "00000000.arrow").write_bytes(b"whose?")
    said = forget_in(world, GONE)
    assert f"4 folders of predictions and readings from {scratch}" in said
    left = {scratch_dir("predictions", "others"), scratch_dir("readings", "others")}
    assert {path.parent for path in scratch.rglob("people.json")} == left
    assert not (scratch / "readings" / "of the first layout").exists()
    assert GONE not in (scratch_dir("predictions", "others") / "people.json").read_text()
    assert any("2 folders of predictions" in line for line in forget_in(world, "v004"))
    assert not list(scratch.rglob("people.json"))


def test_previews_go_with_anybody_who_is_shown_and_states_stay(world):
    for key, names in {"theirs": [person(1), GONE], "others": [person(1), person(3)]}.items():
        run = scratch_dir("train", key)
        (run / "state.pt").write_bytes(b"state")
        name_people(run / "previews", names)
        (run / "previews" / "00000100.png").write_bytes(b"pictures")
    assert f"1 folders of previews from {scratch_root()}" in forget_in(world, GONE)
    assert [path.parents[1].name for path in scratch_root().rglob("00000100.png")] == ["others"]
    assert len(list(scratch_root().rglob("state.pt"))) == 2


def test_an_unknown_name_changes_nothing(world):
    before = digests(world)
    with pytest.raises(ValueError, match=r"no person or video is called 'id1'.*nothing was removed"):
        forget_in(world, "id1")
    assert digests(world) == before


def test_names_that_cannot_stand_in_the_list_are_refused(tmp_path):
    (tmp_path / "list.txt").write_text("a # why\n\n  b\n")
    listed = ForgottenList.read(tmp_path / "list.txt")
    assert listed.names == {"a", "b"}
    assert listed.covers("x", "b/00003")
    assert not listed.covers("x", "bb")
    for name in ("", " c", "c#d", "c\nd"):
        with pytest.raises(ValueError, match="is not the name of a person or a video"):
            listed.add(name)
    with pytest.raises(FileNotFoundError, match="no list of forgotten people"):
        ForgottenList.read(tmp_path / "nothing.txt")


def test_the_status_counts_clips_and_frames_by_reason(world):
    lines = data_status(world / "data" / "clips", world / "data" / "fits", world / "data" / "pairs.parquet")
    assert lines[0].startswith("clips train: 3 with 24 frames, subset ")
    assert "  VoxCeleb1 train: 3 ok" in lines
    assert f"fits {HEAD} eval: 24 ok" in lines
    assert lines[-1].startswith("pairs: 5, sha256 ")
    with pytest.raises(FileNotFoundError, match="run the stage"):
        data_status(world / "nothing", world, world)
