"""What systems leave in a folder of data is no data; capitals, other containers, colons and BOMs are no harm."""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.params.tree import load_params
from pipeline.sources.forgotten import ForgottenList
from pipeline.sources.listing import list_source
from pipeline.sources.manifest import scan
from pipeline.store.schema import read_table, write_table
from pipeline.video.decode import decode, fingerprint
from tests.helpers import ROOT
from tests.source_kinds import TOLERANT as PARAMS
from tests.source_kinds import crop, source, write_images
from tests.videos import TUBE, write_video

BOM = b"\xef\xbb\xbf"
HEADER = "video_id,start,end,bbox,fps,width,height,partition,person_id"


def litter(folder: Path) -> None:
    """Leave in a folder, and in each below, what macOS, a NAS, Windows and Jupyter leave: copies of each file."""
    for place in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        files = [path for path in place.iterdir() if path.is_file()]
        for name in ("__MACOSX", "@eaDir", ".ipynb_checkpoints", "#recycle"):
            (place / name).mkdir()
            for file in files:
                (place / name / file.name).write_bytes(file.read_bytes())
        for file in files:
            (place / f"._{file.name}").write_bytes(b"\x00\x05\x16\x07 no picture")
        for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
            (place / name).write_bytes(b"x")


def write_source(kind: str, folder: Path) -> None:
    """The smallest folder of a kind: one or two clips."""
    if kind == "crops":
        write_video(folder / "id1#vA#000010#000030.mp4", 20)
        write_images(folder / "id2#vB#000000#000012", range(12))
    elif kind == "vox2_release":
        write_video(folder / "mp4" / "id1" / "vA" / "00001.mp4", 12)
    elif kind == "fomm_csv":
        write_video(folder / "videos" / "vA.mp4", 30)
        (folder / "boxes.csv").write_text(f"{HEADER}\nvA,0,20,0-0-60-60,25,96,72,test,id1\n")
    else:
        write_video(folder / "videos" / "vA.mp4", 80)
        table = ["Identity :\tid1", "Reference :\tvA", "Offset :\t0", "FV Conf :\t9", "ASD Conf :\t5", ""]
        rows = [f"{frame}\t100\t40\t280\t280" for frame in range(80)]
        (folder / "txt" / "id1" / "vA").mkdir(parents=True)
        (folder / "txt" / "id1" / "vA" / "00001.txt").write_text("\n".join([*table, "FRAME\tX\tY\tW\tH", *rows]))


KINDS = ("crops", "vox2_release", "fomm_csv", "voxceleb1")


@pytest.mark.parametrize("kind", KINDS)
def test_what_systems_leave_makes_no_clip_and_no_row(kind, tmp_path):
    write_source(kind, tmp_path / "set")
    clean = list_source(source(kind), tmp_path, TUBE, "data.first")
    litter(tmp_path / "set")
    found = list_source(source(kind), tmp_path, TUBE, "data.first")
    assert found.requests == clean.requests
    assert found.requests
    assert found.unreadable == clean.unreadable == []


def test_a_resource_fork_spoils_no_crop_of_images(tmp_path):
    folder = tmp_path / "set" / "id2#vB#000000#000012"
    write_images(folder, range(12))
    before, clean = fingerprint(folder), decode(folder, lambda info: ([0, 11], lambda frame: frame))
    litter(folder)
    found = decode(folder, lambda info: ([0, 11], lambda frame: frame))
    assert found.info.num_frames == 12
    np.testing.assert_array_equal(found.frames, clean.frames)
    assert fingerprint(folder) == before


def test_a_manifest_lists_data_alone(tmp_path):
    one = source("vox2_release", watch="set.manifest.csv")
    write_source("vox2_release", tmp_path / "set")
    scan(one, tmp_path)
    listed = (tmp_path / "set.manifest.csv").read_bytes()
    litter(tmp_path / "set")
    assert list_source(one, tmp_path, TUBE, "data.first").requests
    scan(one, tmp_path)
    assert (tmp_path / "set.manifest.csv").read_bytes() == listed
    (tmp_path / "set.manifest.csv").write_bytes(BOM + listed)
    assert list_source(one, tmp_path, TUBE, "data.first").requests


def test_released_utterances_in_capitals_and_other_containers(tmp_path):
    folder = tmp_path / "set" / "mp4" / "id1" / "vA"
    write_video(folder / "00001.mp4", 12)
    (folder / "00001.mp4").rename(folder / "00001.MP4")
    write_video(folder / "00002.mkv", 12)
    write_video(folder / "00003.mkv", 12)
    write_video(folder / "00003.mp4", 12)
    (folder / "00004.m4a").write_bytes(b"sound")
    clips = list_source(source("vox2_release"), tmp_path, TUBE, "data.first")
    assert [(request.clip, request.path.name) for request in clips.requests] == [
        ("id1#vA#00001#000", "00001.MP4"),
        ("id1#vA#00002#000", "00002.mkv"),
        ("id1#vA#00003#000", "00003.mp4"),
    ]
    notes = [request.note for request in clips.requests]
    assert notes == ["", "", "took id1/vA/00003.mp4, which id1/vA/00003.mkv also matches"]


@pytest.mark.parametrize("decoder", ["decord", "PyAV"])
def test_a_relative_data_folder_with_a_colon_is_a_folder(decoder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if decoder == "PyAV":
        monkeypatch.setitem(sys.modules, "decord", None)
    write_source("crops", tmp_path / "vox:1" / "set")
    table = {"person": ["id1", "id2"], "split": ["test", "test"]}
    with (tmp_path / "vox:1" / "people.parquet").open("wb") as file:
        pq.write_table(pa.table(table), file)
    store, ledger = crop(Path("vox:1"), PARAMS, source("crops"))
    assert {row["reason"] for row in ledger.values()} == {"ok"}
    assert len(store.clips()) == 2
    assert any("PyAV" in row["detail"] for row in ledger.values()) == (decoder == "PyAV")
    write_table(Path("vox:1/new.parquet"), pa.table(table))
    assert read_table(Path("vox:1/new.parquet"), columns=["split"]).column("split").to_pylist() == ["test"] * 2


def test_a_byte_order_mark_is_no_part_of_a_text(tmp_path):
    write_source("fomm_csv", tmp_path / "set")
    plain = list_source(source("fomm_csv"), tmp_path, TUBE, "data.first")
    boxes = tmp_path / "set" / "boxes.csv"
    boxes.write_bytes(BOM + boxes.read_bytes())
    assert list_source(source("fomm_csv"), tmp_path, TUBE, "data.first") == plain
    write_source("voxceleb1", tmp_path / "tree" / "set")
    plain = list_source(source("voxceleb1"), tmp_path / "tree", TUBE, "data.first")
    track = tmp_path / "tree" / "set" / "txt" / "id1" / "vA" / "00001.txt"
    track.write_bytes(BOM + track.read_bytes())
    assert list_source(source("voxceleb1"), tmp_path / "tree", TUBE, "data.first") == plain
    (tmp_path / "forgotten.txt").write_bytes(BOM + b"id1\n")
    assert ForgottenList.read(tmp_path / "forgotten.txt").covers("id1", "vA")
    params = ROOT / "tests" / "data" / "small.yaml"
    (tmp_path / "params.yaml").write_bytes(BOM + params.read_bytes())
    assert load_params(tmp_path / "params.yaml") == load_params(params)
