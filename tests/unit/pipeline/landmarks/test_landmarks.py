"""A folder of videos, whatever lies in it, becomes a landmark table, a ledger, and clips."""

import shutil

import av
import numpy as np
import pytest

from pipeline.cropping.pack import crop_all
from pipeline.landmarks.run import LandmarkWork, find_landmarks
from pipeline.params.data import SourceParams
from pipeline.sources.forgotten import ForgottenList
from pipeline.sources.listing import list_clips
from pipeline.sources.people_folder import seeded_split
from pipeline.sources.request import SourceError
from pipeline.store.clips import ClipStore
from pipeline.store.landmark_table import LandmarkTable
from pipeline.store.schema import read_table
from tests.discs import ColouredDiscs, scene
from tests.videos import CROP, SIZE_HW, data_params, write_frames

FACES = {"detect_every": 25, "overlap": 0.3, "gap_frames": 5, "same_size": 0.5, "cut_levels": 30}
OWN = SourceParams.model_validate(
    {
        "name": "Own", "kind": "people_folder", "folder": ".", "watch": ".", "annotations": None, "videos": ".",
        "split": "seeded", "test_share": 0.4, "split_seed": 0, "forehead": 0.4, "faces": FACES,
    }
)  # fmt: skip
HERE = {"red": (60, 60, 24)}
TOLERANT = CROP.model_copy(update={"max_fail_rate": 1.0, "tube": CROP.tube.model_copy(update={"outside": "clip"})})


@pytest.fixture(autouse=True)
def reader(monkeypatch, tmp_path):
    """Discs are faces, and scratch lies in the test's folder."""
    found = ColouredDiscs()
    for module in ("run", "video"):
        monkeypatch.setattr(f"pipeline.landmarks.{module}.open_mesh", lambda device: found)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return found


def film(path, *stretches, size_hw=SIZE_HW):
    """Write stretches (number of frames, grey level, discs)."""
    return write_frames(path, [scene(size_hw, grey, **discs) for count, grey, discs in stretches for _ in range(count)])


def people(root, *names):
    for name in names:
        film(root / name / f"{name}'s film.mp4", (12, 0, HERE))


def find(root, one=OWN, forgotten=(), retry_failed=False):
    work = LandmarkWork(0, None, 60, retry_failed)
    data = data_params(root, one, None)
    find_landmarks(data, root.parent / "found", ForgottenList(root / "x", frozenset(forgotten)), work)
    rows = read_table(root.parent / "found" / "Own" / "ledger.parquet").to_pylist()
    return {(row["person"], row["video"]): row for row in rows}


def clips_of(root, one=OWN):
    return list_clips(data_params(root, one, None), TOLERANT.tube, root.parent / "found")


def test_whatever_lies_in_the_folder_is_a_row_or_a_line(tmp_path, capsys):
    root = tmp_path / "videos"
    people(root, "anna", "ben 😀", "c d")
    film(root / "anna" / "empty room.mov", (10, 0, {}))
    film(root / "ben 😀" / "two.mkv", (12, 0, {**HERE, "green": (130, 60, 14)}))
    film(root / "c d" / "cut.mp4", (12, 0, HERE), (12, 90, HERE))
    film(root / "dora.mp4", (12, 0, HERE), size_hw=(160, 96))  # upright, and a person by itself
    film(root / "no#good" / "a.mp4", (2, 0, HERE))
    (root / "anna" / "photo.jpg").write_bytes(b"no video")
    (root / "notes.txt").write_text("x")
    (root / "anna" / "broken.mp4").write_bytes(b"no video")
    (root / "anna" / "nothing.mp4").write_bytes(b"")
    with av.open(str(root / "anna" / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate = 16000
        container.mux([*stream.encode(frame), *stream.encode()])
    ledger = find(root)
    reasons = {key: row["reason"] for key, row in ledger.items() if row["reason"] != "ok"}
    assert reasons == {
        ("anna", "empty room.mov"): "no_face",
        ("anna", "broken.mp4"): "decode_error",
        ("anna", "nothing.mp4"): "empty_file",
        ("anna", "sound.mp4"): "decode_error",
        ("no#good", "a.mp4"): "bad_name",
    }
    assert (
        "2 files or folders are no videos and left aside, such as anna/photo.jpg, notes.txt" in capsys.readouterr().err
    )
    assert ledger["c d", "cut.mp4"]["detail"] == "1 cut, 23 ok"
    clips = clips_of(root)
    assert {row.clip for row in clips.unreadable} == {f"{person}#{video}" for person, video in reasons}
    pieces = [(r.person, r.video, r.start, r.end) for r in clips.requests]
    assert ("c d", "cut.mp4", 0, 12) in pieces
    assert ("c d", "cut.mp4", 13, 24) in pieces
    assert ("dora", "dora.mp4", 0, 12) in pieces
    crop_all(clips, tmp_path / "clips", TOLERANT, tmp_path / "s", workers=0, scheduler=None, clip_timeout_s=60)
    table = LandmarkTable(tmp_path / "found" / "Own" / "landmarks.parquet")
    made = 0
    for folder in ("train", "eval"):
        for row in ClipStore(tmp_path / "clips" / folder).index.to_pylist():
            seen = table.look(row["person"], row["video"], row["frame_index"])
            across, down = np.array(row["crop_map"]).reshape(2, 3) @ [*seen.landmarks_px[0].mean(0), 1]
            assert seen.found.all()
            assert abs(across) < 0.5
            assert abs(down) < 0.7
            made += 1
    assert made == len(clips.requests) == 7


def test_a_finished_video_is_not_looked_at_again_and_a_changed_one_is(tmp_path, reader):
    root = tmp_path / "videos"
    people(root, "anna", "ben", "cleo")
    first = find(root)
    looks = reader.detected
    assert find(root) == first
    assert reader.detected == looks
    film(root / "anna" / "anna's film.mp4", (13, 0, HERE))
    assert find(root)["anna", "anna's film.mp4"]["detail"] == "13 ok"
    assert reader.detected > looks


def test_what_failed_is_left_as_it_is_until_it_is_asked_for(tmp_path, monkeypatch):
    root = tmp_path / "videos"
    people(root, "anna", "ben", "cleo")

    def full(*_, **__):
        raise OSError("no space")

    with monkeypatch.context() as broken:
        broken.setattr("pipeline.landmarks.video.write_table", full)
        assert {row["reason"] for row in find(root).values()} == {"crashed"}
    assert {row["reason"] for row in find(root).values()} == {"crashed"}
    assert {row["reason"] for row in find(root, retry_failed=True).values()} == {"ok"}


def test_forgotten_people_are_not_looked_at(tmp_path):
    root = tmp_path / "videos"
    people(root, "anna", "ben", "cleo", "dora")
    assert find(root, forgotten=["anna"])["anna", "anna's film.mp4"]["status"] == "forgotten"
    assert "anna" not in {row[0] for row in LandmarkTable(tmp_path / "found/Own/landmarks.parquet").frames()}


def test_the_user_says_which_face_is_the_person(tmp_path):
    root = tmp_path / "videos"
    people(root, "anna", "ben")
    film(root / "cleo" / "two.mp4", (12, 0, {"red": (40, 60, 24), "green": (120, 60, 16)}))
    find(root)
    told = LandmarkTable(tmp_path / "found/Own/landmarks.parquet").look("cleo", "two.mp4", [0])
    assert abs(told.landmarks_px[0].mean(0)[0] - 40) < 15
    (root / "faces.csv").write_text("person,video,x,y\ncleo,two.mp4,0.75,0.6\n")
    find(root)
    told = LandmarkTable(tmp_path / "found/Own/landmarks.parquet").look("cleo", "two.mp4", [0])
    assert abs(told.landmarks_px[0].mean(0)[0] - 120) < 10


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("person,x\n", r"faces.csv: the header is person,x, expected person,video,x,y"),
        ("person,video,x,y\nanna,anna's film.mp4,2,0\n", r"faces.csv:2: x and y are shares of the frame's sides"),
        ("person,video,x,y\nanna,other.mp4,0,0\n", r"faces.csv:2: there is no video anna/other.mp4"),
        ("person,video,x,y\nanna\n", r"faces.csv:2: expected 4 values"),
    ],
)
def test_a_wrong_faces_csv_is_one_line(tmp_path, text, said):
    root = tmp_path / "videos"
    people(root, "anna")
    (root / "faces.csv").write_text(text)
    with pytest.raises(SourceError, match=said):
        find(root)


def test_too_few_people_are_told_what_would_be_enough(tmp_path):
    root = tmp_path / "videos"
    people(root, "anna")
    film(root / "ben" / "short.mp4", (3, 0, HERE))
    find(root)
    enough = r"with at least 8 frames on end .* 3 people are enough, 2 to test on and one to train on; ben has 3 such"
    with pytest.raises(SourceError, match=enough):
        clips_of(root)
    with pytest.raises(SourceError, match=r"1 to test on .*: 2 to test on are enough"):
        clips_of(root, OWN.model_copy(update={"split": "test", "test_share": None, "split_seed": None}))


def test_a_folder_without_videos_is_one_line(tmp_path):
    (tmp_path / "videos").mkdir()
    with pytest.raises(SourceError, match=r"holds no videos: expected <person>/<any name>\.mp4"):
        find(tmp_path / "videos")
    with pytest.raises(SourceError, match=r"there is no folder .*nowhere: set data\.root"):
        find(tmp_path / "nowhere")


def test_landmarks_of_other_videos_are_refused(tmp_path):
    root = tmp_path / "videos"
    people(root, "anna", "ben", "cleo")
    with pytest.raises(
        SourceError, match=r"no table at .*ledger.parquet: run the stage that writes it .stage `landmarks`"
    ):
        clips_of(root)
    find(root)
    shutil.rmtree(root / "anna")
    with pytest.raises(SourceError, match=r"is not of the videos in .*, such as anna/anna's film.mp4: run the stage"):
        clips_of(root)


def test_people_are_divided_by_a_seeded_rule_or_a_file(tmp_path):
    names = [f"person {number}" for number in range(10)]
    split = seeded_split(names, 0.4, 0)
    assert sorted(split.values()) == ["test"] * 4 + ["train"] * 6
    assert split == seeded_split(reversed(names), 0.4, 0) != seeded_split(names, 0.4, 1)
    assert sorted(seeded_split("abc", 0.1, 0).values()) == ["test", "test", "train"]
    assert sorted(seeded_split("abc", 0.9, 0).values()) == ["test", "test", "train"]
    root = tmp_path / "videos"
    people(root, "anna", "ben", "cleo")
    find(root)
    listed = OWN.model_copy(update={"split": "listed", "test_share": None, "split_seed": None})
    with pytest.raises(SourceError, match=r"there is no .*people.csv: it holds a header person,split"):
        clips_of(root, listed)
    (root / "people.csv").write_text("person,split\nanna,test\nben,train\n")
    with pytest.raises(SourceError, match=r"people.csv has no line for cleo"):
        clips_of(root, listed)
    (root / "people.csv").write_text("person,split\nanna,test\nben,train\ncleo,maybe\n")
    with pytest.raises(SourceError, match=r"people.csv:4: split is 'maybe', expected train or test"):
        clips_of(root, listed)
    (root / "people.csv").write_text("person,split\nanna,test\nben,train\ncleo,test\n")
    assert {r.person: r.split for r in clips_of(root, listed).requests} == {
        "anna": "test",
        "ben": "train",
        "cleo": "test",
    }


def test_other_kinds_are_passed_on(tmp_path, reader):
    given = SourceParams(
        name="Given", kind="crops", folder="given", watch="given", annotations=None, videos=".", split="test"
    )
    forgotten = ForgottenList(tmp_path / "x", frozenset())
    find_landmarks(data_params(tmp_path, given, None), tmp_path / "found", forgotten, LandmarkWork(0, None, 60, False))
    assert [path.name for path in (tmp_path / "found").iterdir()] == ["sources.json"]
    assert reader.detected == 0


def test_frames_of_a_video_of_uneven_times_are_known_by_their_numbers(tmp_path):
    root = tmp_path / "videos"
    people(root, "anna", "ben")
    frames = [scene(SIZE_HW, **{"red": (40 + 3 * t, 60, 24)}) for t in range(20)]
    write_frames(root / "cleo" / "phone.mkv", frames, [t if t < 10 else 3 * t - 20 for t in range(20)])
    find(root)
    clips = clips_of(root)
    clips.requests[:] = [request for request in clips.requests if request.person == "cleo"]
    crop_all(clips, tmp_path / "clips", TOLERANT, tmp_path / "s", workers=0, scheduler=None, clip_timeout_s=60)
    rows = [row for f in ("train", "eval") for row in ClipStore(tmp_path / "clips" / f).index.to_pylist()]
    assert sorted(number for row in rows for number in row["frame_index"]) == list(range(20))
