import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from pipeline.params.data import SourceParams
from pipeline.sources.boxes import ListedBox, TubeBox, WholeFrame
from pipeline.sources.listing import list_clips, list_source
from pipeline.sources.request import SourceError
from tests.helpers import shared
from tests.videos import TUBE, data_params, released, voxceleb1, write_track

HEADER = "video_id,start,end,bbox,fps,width,height,partition,person_id"
ROWS = ["vA,0,78,46-69-462-485,25,512,512,train,id1", "vB,10,80,9-11-478-480,30,640,480,test,id2"]
CSV = SourceParams(
    name="VoxCeleb1",
    kind="fomm_csv",
    folder="fomm",
    watch="fomm",
    annotations="boxes.csv",
    videos="videos",
    split="listed",
)


def write_csv(root, lines):
    (root / "fomm" / "videos").mkdir(parents=True)
    (root / "fomm" / "boxes.csv").write_text("\n".join(lines) + "\n")


def listed(source, root):
    return list_source(source, root, TUBE, "data.first")


def vox1_tree(root, boxes=((10, 20, 60, 90),) * 12, first_frame=5):
    (root / "vox1" / "videos").mkdir(parents=True)
    return write_track(root / "vox1" / "txt" / "id10271" / "vid" / "00001.txt", list(boxes), first_frame)


def test_a_csv_row_becomes_a_request_with_its_box_and_partition(tmp_path):
    write_csv(tmp_path, [HEADER, *ROWS, ROWS[0]])
    clips = listed(CSV, tmp_path)
    one, two = clips.requests
    assert one.clip == "id1#vA#000000#000078"
    assert (one.split, one.reference_fps, one.box) == ("train", 25.0, ListedBox((46, 69, 462, 485), (512, 512)))
    assert (two.split, two.start, two.end, two.reference_fps) == ("test", 10, 80, 30.0)
    assert two.box.listed_wh == (640, 480)
    assert not two.path.exists()
    (row,) = clips.unreadable
    assert (row.reason, row.status, row.clip) == ("missing_source", "missing", "id1#vA#line4")
    assert "boxes.csv:4 repeats line 2" in row.detail
    (tmp_path / "fomm" / "videos" / "vA.webm").touch()
    clips = listed(CSV, tmp_path)
    assert clips.requests[0].path.name == "vA.webm"
    assert clips.unreadable[0].reason == "repeated"


def test_bad_csv_rows_are_counted_with_file_and_line(tmp_path):
    broken = "vC,0,seventy,1-2-30-40,25,512,512,test,id3"
    inverted = "vD,0,70,30-2-1-40,25,512,512,test,id4"
    other_box = ROWS[0].replace("46-", "40-")
    write_csv(tmp_path, [HEADER, ROWS[0], broken, ROWS[1], inverted, other_box, "vE,1"])
    clips = listed(CSV, tmp_path)
    assert len(clips.requests) == 2
    assert [row.reason for row in clips.unreadable] == ["bad_annotation"] * 4
    assert "boxes.csv:3" in clips.unreadable[0].detail
    assert "seventy" in clips.unreadable[0].detail
    assert "boxes.csv:5" in clips.unreadable[1].detail
    assert "another box" in clips.unreadable[2].detail
    assert clips.unreadable[2].split == "train"


def test_a_person_of_both_partitions_is_a_test_person(tmp_path):
    write_csv(tmp_path, [HEADER, ROWS[1].replace("test", "train"), ROWS[1], "vC,0,70,1-2-30-40,25,64,48,train,id2"])
    assert [request.split for request in listed(CSV, tmp_path).requests] == ["test", "test"]


def test_a_wrong_csv_header_is_refused(tmp_path):
    write_csv(tmp_path, [HEADER.replace("bbox", "box"), *ROWS])
    with pytest.raises(SourceError, match=r"boxes\.csv:1: expected header video_id"):
        listed(CSV, tmp_path)


def test_a_track_becomes_clips_named_by_their_frames(tmp_path):
    boxes = [(10, 20, 60, 90)] * 12 + [(300, 20, 60, 90)] * 9
    vox1_tree(tmp_path, boxes)
    one, two = listed(voxceleb1(split="official"), tmp_path).requests
    assert (one.clip, two.clip) == ("id10271#vid#000005#000017", "id10271#vid#000017#000026")
    assert one.box == TubeBox((10, 20, 70, 110), "height360")
    assert (one.split, one.min_frames) == ("test", TUBE.min_frames)


def test_fractions_give_the_track_of_pixels(tmp_path):
    pixels = [(64, 36, 128, 90), (96, 36, 128, 90), (400, 36, 128, 90)]
    vox1_tree(tmp_path, pixels)
    (tmp_path / "vox2" / "videos").mkdir(parents=True)
    fractions = [(x / 640, y / 360, w / 640, h / 360) for x, y, w, h in pixels]
    write_track(tmp_path / "vox2" / "txt" / "id10271" / "vid" / "00001.txt", fractions, 5)
    source = voxceleb1("VoxCeleb2", "vox2").model_copy(update={"kind": "voxceleb2"})
    ours, theirs = (listed(s, tmp_path).requests for s in (source, voxceleb1()))
    assert [request.clip for request in ours] == [request.clip for request in theirs]
    assert ours[0].box.unit == "fraction"
    assert ours[0].box.box == pytest.approx((0.1, 0.1, 224 / 640, 0.35))


@pytest.mark.parametrize(
    ("edit", "where", "what"),
    [
        (lambda text: text.replace("FRAME", "FRAMES"), ":7:", "expected header FRAME X Y W H"),
        (lambda text: text.replace("000007 \t10", "000007 \tten"), ":10:", "four integers"),
        (lambda text: text.replace("000007", "000009"), ":10:", "follows frame 6"),
        (lambda text: text.split("FRAME")[0], ":7:", "expected header"),
        (lambda text: text[: text.index("000005")], "00001.txt", "no rows"),
        (lambda text: text.replace("60", "-60"), ":8:", "empty box"),
        (lambda text: text.replace("10", "0.1"), ":8:", "four integers"),
    ],
)
def test_a_bad_track_is_one_ledger_row_naming_file_and_line(tmp_path, edit, where, what):
    path = vox1_tree(tmp_path)
    path.write_text(edit(path.read_text()))
    clips = listed(voxceleb1(), tmp_path)
    assert clips.requests == []
    (row,) = clips.unreadable
    assert (row.reason, row.person, row.video) == ("bad_annotation", "id10271", "vid")
    assert where in row.detail
    assert what in row.detail


def test_pixels_where_fractions_are_due_are_refused(tmp_path):
    vox1_tree(tmp_path)
    source = voxceleb1().model_copy(update={"kind": "voxceleb2"})
    assert "not fractions" in listed(source, tmp_path).unreadable[0].detail


def test_people_are_split_by_list_or_officially(tmp_path):
    vox1_tree(tmp_path)
    write_track(tmp_path / "vox1" / "txt" / "id10001" / "old" / "00001.txt", [(10, 20, 60, 90)] * 9)
    folder = tmp_path / "vox1"
    with pytest.raises(SourceError, match=r"people\.parquet"):
        listed(voxceleb1(split="listed"), tmp_path)
    pq.write_table(pa.table({"person": ["id10271", "id10001"], "split": ["train", "test"]}), folder / "people.parquet")
    splits = {
        rule: {request.person: request.split for request in listed(voxceleb1(split=rule), tmp_path).requests}
        for rule in ("listed", "official", "test")
    }
    assert splits["listed"] == {"id10271": "train", "id10001": "test"}
    assert splits["official"] == {"id10271": "test", "id10001": "train"}
    assert splits["test"] == {"id10271": "test", "id10001": "test"}
    pq.write_table(pa.table({"person": ["id10271"], "split": ["train"]}), folder / "people.parquet")
    assert "id10001" in listed(voxceleb1(split="listed"), tmp_path).unreadable[0].detail


def test_released_utterances_are_whole_frames(tmp_path):
    for utterance in ("00002", "00001"):
        path = tmp_path / "vox2" / "mp4" / "id7" / "vid" / f"{utterance}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    one, two = listed(released(), tmp_path).requests
    assert (one.clip, two.clip) == ("id7#vid#00001#000", "id7#vid#00002#000")
    assert (one.video, one.start, one.end, one.box) == ("vid/00001", 0, None, WholeFrame())


def test_the_second_data_set_gives_test_people_only(tmp_path):
    vox1_tree(tmp_path)
    (tmp_path / "other" / "videos").mkdir(parents=True)
    write_track(tmp_path / "other" / "txt" / "id10001" / "v" / "00001.txt", [(10, 20, 60, 90)] * 9)
    write_track(tmp_path / "other" / "txt" / "id10280" / "v" / "00001.txt", [(10, 20, 60, 90)] * 9)
    data = data_params(tmp_path, voxceleb1(), voxceleb1("Second", "other", "official"))
    clips = list_clips(data, TUBE)
    assert [(request.dataset, request.person) for request in clips.requests] == [
        ("VoxCeleb1", "id10271"),
        ("Second", "id10280"),
    ]


def test_a_missing_folder_names_the_path_and_the_parameter(tmp_path):
    with pytest.raises(SourceError, match=r"vox1 \(parameter data\.first\.folder = vox1, below data\.root"):
        listed(voxceleb1(), tmp_path)
    (tmp_path / "vox1").mkdir()
    with pytest.raises(SourceError, match=r"data\.first\.annotations = txt"):
        listed(voxceleb1(), tmp_path)


def test_parameters_that_cannot_be_are_refused():
    with pytest.raises(ValidationError, match=r"watch is 'x': expected the folder 'vox2' or a manifest"):
        SourceParams.model_validate({**released().model_dump(), "watch": "x"})
    with pytest.raises(ValidationError, match="no split listed: choose official or test"):
        SourceParams.model_validate({**released().model_dump(), "split": "listed"})
    with pytest.raises(ValidationError, match="has no forehead"):
        SourceParams.model_validate({**released().model_dump(), "forehead": 0.4})
    with pytest.raises(ValidationError, match="annotations must be"):
        SourceParams.model_validate({**released().model_dump(), "annotations": "txt"})
    with pytest.raises(ValidationError, match="kind"):
        SourceParams.model_validate({**released().model_dump(), "kind": "foo"})
    with pytest.raises(ValidationError, match="same name"):
        data_params("x", voxceleb1("A"), released("A"))


def test_the_published_csv_lists_every_distinct_clip():
    folder = shared("voxceleb")
    source = CSV.model_copy(
        update={"folder": "voxceleb", "watch": "voxceleb", "annotations": "vox-metadata.csv", "videos": "."}
    )
    clips = list_source(source, folder.parent, TUBE, "data.first")
    assert {row.reason for row in clips.unreadable} == {"missing_source"}
    assert len(clips.requests) + len(clips.unreadable) == 20_075
    test = [request for request in clips.requests if request.split == "test"]
    assert (len(clips.requests), len(test), len({request.person for request in test})) == (19_764, 525, 13)
    assert not {request.person for request in test} & {r.person for r in clips.requests if r.split == "train"}
