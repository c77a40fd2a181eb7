"""Every form of data, from its folder to a clip index and a ledger."""

import json

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.cropping.pack import crop_all
from pipeline.sources.listing import list_source
from pipeline.sources.request import SourceError
from pipeline.sources.video_files import VideoFiles
from pipeline.store.schema import metadata_of, read_table
from tests.helpers import shared
from tests.source_kinds import TOLERANT, crop, source, write_images
from tests.videos import CROP, SIZE_HW, TUBE, frame_image, frame_number, write_video


def write_landmarks(folder, rows):
    """Rows of person, video, frame and the corner of a 40x50 px constellation."""
    rng = np.random.default_rng(0)
    shape = rng.random((68, 2)) * [40, 50]
    shape[:2] = [[0, 0], [40, 50]]
    table = {
        "person_id": [row[0] for row in rows],
        "video_id": [row[1] for row in rows],
        "frame": pa.array([row[2] for row in rows], pa.int32()),
        "score": pa.array([0.9] * len(rows), pa.float32()),
        "landmarks": pa.array([(shape + row[3]).ravel().tolist() for row in rows], pa.list_(pa.float32(), 136)),
    }
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(table), folder / "landmarks.parquet")


def test_crops_are_taken_whole_as_videos_or_images(tmp_path):
    folder = tmp_path / "set" / "test"
    write_video(folder / "id1#vA#000010#000030.mp4", 20)
    write_images(folder / "id2#vB#000000#000012", range(12))
    store, ledger = crop(tmp_path, CROP, source("crops"))
    index = {row["clip"]: row for row in store.index.to_pylist()}
    a, b = index["id1#vA#000010#000030"], index["id2#vB#000000#000012"]
    assert (a["person"], a["video"], a["num_frames"]) == ("id1", "vA/000010#000030", 20)
    assert (b["person"], b["video"], b["num_frames"]) == ("id2", "vB/000000#000012", 12)
    assert b["crop_map"] == pytest.approx([2 / SIZE_HW[1], 0, -1, 0, 2 / SIZE_HW[0], -1])
    assert frame_number(store.frame("id2#vB#000000#000012", 7).repeat(3, 0)) == 7
    assert {row["reason"] for row in ledger.values()} == {"ok"}


def test_crops_follow_their_folders_and_a_doubled_one_says_which_was_taken(tmp_path):
    write_video(tmp_path / "set" / "train" / "id1#vA#000000#000012.mp4", 12)
    write_images(tmp_path / "set" / "test" / "id2#vB#000000#000012", range(12))
    write_video(tmp_path / "set" / "test" / "id2#vB#000000#000012.mp4", 12)
    clips = list_source(source("crops", split="listed"), tmp_path, TUBE, "data.first")
    assert [(request.person, request.split, request.path.suffix) for request in clips.requests] == [
        ("id1", "train", ".mp4"),
        ("id2", "test", ""),
    ]
    assert clips.requests[1].note.endswith("id2#vB#000000#000012.mp4 also matches")
    assert clips.requests[0].note == ""
    _, ledger = crop(tmp_path, CROP, source("crops", split="listed"))
    assert "also matches" in ledger["id2#vB#000000#000012"]["detail"]


def test_bad_crops_are_ledger_rows(tmp_path):
    folder = tmp_path / "set"
    write_images(folder / "id1#v#0#9", [0, 1, 3])
    write_images(folder / "id2#v#0#9", range(3))
    (folder / "id2#v#0#9" / "0000001.png").write_bytes(b"no image")
    (folder / "id3#v#0#9").mkdir()
    write_images(folder / "id5#v#0#9", range(9))
    write_video(folder / "whoever.mp4", 9)
    store, ledger = crop(tmp_path, TOLERANT, source("crops"))
    assert store.clips() == ["id5#v#0#9"]
    details = {row["person"]: (row["reason"], row["detail"]) for row in ledger.values()}
    assert "image 2 is missing" in details["id1"][1]
    assert "0000001.png is no file of PNG, JPEG, BMP, WEBP" in details["id2"][1]
    assert "holds no images" in details["id3"][1]
    assert details["?"][0] == "bad_annotation"
    assert "not of the form person#video#start#end" in details["?"][1]


def test_a_changed_image_of_a_crop_is_cropped_again(tmp_path):
    write_images(tmp_path / "set" / "id1#v#0#9", range(9))
    crop(tmp_path, CROP, source("crops"))
    made = set((tmp_path / "scratch").rglob("*.arrow"))
    cv2.imwrite(str(tmp_path / "set" / "id1#v#0#9" / "0000004.png"), frame_image(99))
    crop(tmp_path, CROP, source("crops"))
    assert set((tmp_path / "scratch").rglob("*.arrow")) > made


def test_a_plain_folder_is_cropped_by_its_landmarks(tmp_path):
    write_video(tmp_path / "set" / "videos" / "trip.mkv", 40, fps=30)
    faces = [("ann", "trip", i, (60, 30)) for i in range(5, 17)] + [("ann", "trip", i, (62, 30)) for i in range(18, 30)]
    write_landmarks(tmp_path / "set", [*faces, ("bob", "lost", 0, (60, 30))])
    params = TOLERANT.model_copy(update={"tube": TUBE.model_copy(update={"min_frames": 12, "increase": 0.0})})
    store, ledger = crop(tmp_path, params, source("video_folder"))
    assert store.clips() == ["ann#trip#000005#000017", "ann#trip#000018#000030"]
    first = store.index.to_pylist()[0]
    assert first["frame_index"] == list(range(5, 17))
    assert (first["start"], first["end"], first["fps"]) == (5, 17, 30.0)
    # landmarks span 40x50 px from (60.5, 30.5); with the forehead 70 px high, so the square is 70 px wide
    assert first["crop_map"] == pytest.approx([2 / 70, 0, -1 - 2 * 45 / 70, 0, 2 / 70, -1 - 2 * 10 / 70], abs=2e-2)
    assert ledger["bob#lost#000000#000001"]["reason"] == "missing_source"


def test_landmarks_without_a_face_are_one_ledger_row(tmp_path):
    write_video(tmp_path / "set" / "videos" / "v.mp4", 20)
    write_landmarks(tmp_path / "set", [("ann", "v", i, (60, 30)) for i in range(12)])
    table = pq.read_table(tmp_path / "set" / "landmarks.parquet")
    nothing = pa.array([[float("nan")] * 136] * 12, pa.list_(pa.float32(), 136))
    blind = table.set_column(0, "person_id", pa.array(["eve"] * 12)).set_column(4, "landmarks", nothing)
    pq.write_table(pa.concat_tables([table, blind]), tmp_path / "set" / "landmarks.parquet")
    clips = list_source(source("video_folder"), tmp_path, TUBE, "data.first")
    assert [request.clip for request in clips.requests] == ["ann#v#000000#000012"]
    assert [(row.person, row.reason) for row in clips.unreadable] == [("eve", "bad_annotation")]


def test_a_video_is_found_whatever_its_suffix_and_folder(tmp_path):
    for name in ("a.webm", "b.MKV", "sub/c.avi", "d.mp4", "d.webm", "d.wav", "e.part", "id1/f.mp4", "id2/f.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "g.mp4").symlink_to(tmp_path / "nowhere")
    files = VideoFiles(tmp_path)
    found = {video: files.find(video, "id2")[0].name for video in "abcd"}
    assert found == {"a": "a.webm", "b": "b.MKV", "c": "c.avi", "d": "d.mp4"}
    assert files.find("a", "id2")[1] == ""
    assert files.find("d", "id2")[1] == "took d.mp4, which d.webm also matches"
    assert files.find("f", "id2") == (tmp_path / "id2" / "f.mp4", "")
    for missing in "eg":
        path, note = files.find(missing, "id2")
        assert (path.name, path.exists(), note) == (f"{missing}.*", False, "")


@pytest.mark.parametrize(
    ("kind", "make", "message"),
    [
        (
            "crops",
            lambda folder: folder.mkdir(),
            r"set holds no clips: kind crops expects <videos>/person#video#start#end",
        ),
        ("vox2_release", lambda folder: (folder / "mp4").mkdir(parents=True), r"expects <videos>/<person>/<video>/"),
        ("voxceleb1", lambda folder: [(folder / d).mkdir(parents=True) for d in ("txt", "videos")], "<utterance>.txt"),
        ("crops", lambda folder: None, r"no such path: .*set \(parameter data.first.folder = set"),
    ],
)
def test_nothing_to_crop_is_one_message_about_what_was_expected(tmp_path, kind, make, message):
    make(tmp_path / "set")
    with pytest.raises(SourceError, match=message):
        list_source(source(kind), tmp_path, TUBE, "data.first")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video_id,start,end,bbox,fps,width,height,partition,person_id\n", "holds no clips"),
        ("", "expected header video_id"),
        ("\x00\x01binary", "boxes.csv"),
    ],
)
def test_a_csv_without_rows_is_one_message(tmp_path, text, message):
    (tmp_path / "set" / "videos").mkdir(parents=True)
    (tmp_path / "set" / "boxes.csv").write_text(text)
    with pytest.raises(SourceError, match=message):
        list_source(source("fomm_csv"), tmp_path, TUBE, "data.first")


def test_a_table_that_is_none_is_one_message(tmp_path):
    (tmp_path / "set" / "videos").mkdir(parents=True)
    (tmp_path / "set" / "landmarks.parquet").write_text("no table")
    with pytest.raises(SourceError, match=r"landmarks\.parquet is not a readable Parquet table"):
        list_source(source("video_folder"), tmp_path, TUBE, "data.first")
    (tmp_path / "set" / "landmarks.parquet").unlink()
    pq.write_table(pa.table({"person_id": ["a"]}), tmp_path / "set" / "landmarks.parquet")
    with pytest.raises(SourceError, match="lacks the columns video_id, frame, score, landmarks"):
        list_source(source("video_folder"), tmp_path, TUBE, "data.first")


def test_the_whole_published_csv_is_accounted_for_without_a_single_video(tmp_path):
    (tmp_path / "set" / "videos").mkdir(parents=True)
    (tmp_path / "set" / "boxes.csv").symlink_to(shared("voxceleb/vox-metadata.csv"))
    clips = list_source(source("fomm_csv", split="listed"), tmp_path, TUBE, "data.first")
    with pytest.raises(RuntimeError, match="no clip is left of 20075"):
        crop_all(clips, tmp_path / "clips", TOLERANT, tmp_path / "s", workers=0, scheduler=None, clip_timeout_s=9)
    tables = [read_table(tmp_path / "clips" / folder / "ledger.parquet") for folder in ("train", "eval")]
    ledger = pa.concat_tables(tables)
    assert ledger.num_rows == 20_075
    assert set(ledger["reason"].to_pylist()) == {"missing_source"}
    assert json.loads(metadata_of(tables[0])["split"]) == {"Set": "FOMM's csv"}
    people = [len(set(table["person"].to_pylist())) for table in tables]
    assert people == [422, 13]  # two of the 424 people trained on are test people, and so test people only


def test_a_real_folder_becomes_clips_by_its_landmarks(tmp_path):
    folder = shared("realvox")
    one = source("video_folder", folder="realvox", watch="realvox", videos="videos")
    clips = list_source(
        one, folder.parent, TUBE.model_copy(update={"min_size_px": 256, "min_frames": 64}), "data.first"
    )
    assert {request.person for request in clips.requests} == {f"id{number}" for number in range(90001, 90011)}
    assert all(request.path.exists() for request in clips.requests)
