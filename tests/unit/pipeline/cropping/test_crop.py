from fractions import Fraction

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.cropping import run as crop_run
from pipeline.cropping.clip import crop_map
from pipeline.cropping.pack import crop_all
from pipeline.cropping.packed import PackedFolder
from pipeline.sources.listing import list_clips
from pipeline.store.clips import ClipStore
from pipeline.store.schema import LEDGER
from pipeline.work.ledger import LedgerRow, TooManyFailures, check_complete, summary
from tests.helpers import shared
from tests.videos import CROP, data_params, released, voxceleb1, write_track, write_video

BOX = (200, 120, 80, 100)  # X Y W H in the 360-high frame
FRAME_HW = (180, 320)  # half of it, so the clip's box is 100..140 by 60..110 px before it is enlarged


@pytest.fixture
def corpus(tmp_path):
    """Two VoxCeleb1 videos (the second at 30 fps) and one released utterance of another shape."""
    for video, fps in (("va", 25), ("vb", 30)):
        write_video(tmp_path / "vox1" / "videos" / f"{video}.mp4", 24, fps=fps, size_hw=FRAME_HW)
        write_track(tmp_path / "vox1" / "txt" / f"id_{video}" / video / "00001.txt", [BOX] * 14, 4)
    write_video(tmp_path / "vox2" / "mp4" / "id9" / "vc" / "00003.mp4", 10, size_hw=(64, 96))
    return tmp_path


def crop(root, params=CROP, **changes):
    data = data_params(root, voxceleb1(**changes), released())
    clips = list_clips(data, params.tube)
    crop_all(clips, root / "clips", params, root / "scratch", workers=0, scheduler=None, clip_timeout_s=60)
    return ClipStore(root / "clips" / "eval")


def ledger(root, split="eval"):
    return {row["clip"]: row for row in pq.read_table(root / "clips" / split / "ledger.parquet").to_pylist()}


def tolerant(**changes):
    return CROP.model_copy(update={"max_fail_rate": 1.0, "max_missing_rate": 1.0, **changes})


def test_clips_hold_the_annotated_frames_and_say_where_they_came_from(corpus):
    store = crop(corpus)
    rows = {row["clip"]: row for row in store.index.to_pylist()}
    a, b = rows["id_va#va#000004#000018"], rows["id_vb#vb#000004#000018"]
    assert a["frame_index"] == list(range(4, 18))
    assert b["frame_index"] == [i for i in range(24) if 4 * 30 <= i * 25 < 18 * 30]
    assert (b["fps"], b["start"], b["end"], b["num_frames"]) == (30.0, 4, 18, 17)
    assert (a["source_width"], a["source_height"], a["split"], a["dataset"]) == (320, 180, "test", "VoxCeleb1")
    c = rows["id9#vc#00003#000"]
    assert (c["num_frames"], c["end"], c["video"], c["dataset"]) == (10, 10, "vc/00003", "VoxCeleb2")
    assert store.frames(a["clip"]).shape == (14, 32, 32, 3)
    assert all(row["status"] == "ok" for row in ledger(corpus).values())


@pytest.mark.parametrize("pixels", ["stored", "square"])
def test_an_anamorphic_video_is_cropped_where_it_was_annotated(tmp_path, pixels):
    """A white face of 60x80 px as shown, 45x80 as stored, in a 360-high frame; each crop is white up to its edges."""
    shown, stored_hw, aspect = (200, 120, 60, 80), (360, 480), Fraction(4, 3)
    left, right = (round(x / aspect) for x in (shown[0], shown[0] + shown[2]))
    frame = np.zeros((*stored_hw, 3), np.uint8)
    frame[shown[1] : shown[1] + shown[3], left:right] = 255
    path = tmp_path / "vox1" / "videos" / "va.mp4"
    path.parent.mkdir(parents=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "1"})
        (stream.height, stream.width), stream.pix_fmt = stored_hw, "yuv444p"
        stream.codec_context.sample_aspect_ratio = aspect
        for _ in range(20):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    write_track(tmp_path / "vox1" / "txt" / "id1" / "va" / "00001.txt", [shown] * 14, 2)
    write_video(tmp_path / "vox2" / "mp4" / "id9" / "vc" / "00003.mp4", 10, size_hw=(64, 96))
    tube = CROP.tube.model_copy(update={"pixels": pixels, "increase": 0.0, "enlarge": "sides"})
    store = crop(tmp_path, CROP.model_copy(update={"tube": tube, "size_px": 80}))
    row = next(row for row in store.index.to_pylist() if row["person"] == "id1")
    assert (row["source_width"], row["source_height"]) == (480, 360)
    assert store.frames(row["clip"])[:, 2:-2, 2:-2].min() > 240

    squared = tube.model_copy(update={"enlarge": "square"})
    store = crop(tmp_path, CROP.model_copy(update={"tube": squared, "size_px": 80}))
    white = np.asarray(store.frames(row["clip"])[0, 40, :, 0] > 127).sum()
    assert white == pytest.approx(60 if pixels == "square" else 45, abs=2)  # of 80: as shown, or as stored


def test_the_crop_map_takes_the_box_to_the_clip(corpus):
    store = crop(corpus)
    row = next(row for row in store.index.to_pylist() if row["person"] == "id_va")
    xx, xy, x0, yx, yy, y0 = row["crop_map"]
    assert (xy, yx) == (0, 0)
    # the union box 100..140 x 60..110 px, made a square of 1.2 * 50 px around its centre (120, 85)
    assert [xx * 90 + x0, xx * 150 + x0, yy * 55 + y0, yy * 115 + y0] == pytest.approx([-1, 1, -1, 1], abs=1e-6)
    frame = store.frame(row["clip"], 0).astype(float)
    columns = (np.arange(32) + 0.5) / 16 - 1
    red = 255 * ((columns - x0) / xx - 0.5) / 319  # the source's red is its column, its green its row
    green = 255 * ((columns - y0) / yy - 0.5) / 179
    assert np.abs(frame[16, 2:-2, 0] - red[2:-2]).max() < 4
    assert np.abs(frame[2:-2, 16, 1] - green[2:-2]).max() < 4


def test_a_wide_frame_is_squeezed_and_the_map_says_so(corpus):
    store = crop(corpus)
    row = next(row for row in store.index.to_pylist() if row["dataset"] == "VoxCeleb2")
    assert row["crop_map"] == pytest.approx([2 / 96, 0, -1, 0, 2 / 64, -1])
    frame = store.frame(row["clip"], 0)
    assert frame[24, 30, 0] > 230
    assert frame[24, 1, 0] < 20
    assert crop_map((10, 30, 50, 110)) == pytest.approx([1 / 20, 0, -1.5, 0, 1 / 40, -1.75])


def test_training_clips_are_jpeg_apart_from_the_test_clips(corpus):
    people = pa.table({"person": ["id_va", "id_vb"], "split": ["train", "test"]})
    pq.write_table(people, corpus / "vox1" / "people.parquet")
    store = crop(corpus, split="listed")
    train = ClipStore(corpus / "clips" / "train")
    assert train.clips() == ["id_va#va#000004#000018"]
    assert "id_va#va#000004#000018" not in store.clips()
    assert train.images(train.clips()[0])[0].as_py().startswith(b"\xff\xd8")
    assert store.images(store.clips()[0])[0].as_py().startswith(b"\x89PNG")


def test_every_fault_is_one_ledger_row_and_the_rest_is_made(corpus):
    videos, txt = corpus / "vox1" / "videos", corpus / "vox1" / "txt"
    good = (videos / "va.mp4").read_bytes()
    for name in ("gone", "empty", "cut", "short", "late", "edge", "tiny", "header"):
        (videos / f"{name}.mp4").write_bytes(good)
        boxes = {"edge": (2, 120, 80, 100), "tiny": (200, 120, 20, 20)}.get(name, BOX)
        write_track(
            txt / f"p_{name}" / name / "00001.txt", [boxes] * (5 if name == "short" else 14), 500 * (name == "late")
        )
    (videos / "gone.mp4").unlink()
    (videos / "empty.mp4").write_bytes(b"")
    (videos / "cut.mp4").write_bytes(good[: len(good) // 2])
    path = txt / "p_header" / "header" / "00001.txt"
    path.write_text(path.read_text().replace("FRAME", "FRAMES"))
    store = crop(corpus, tolerant())
    rows = ledger(corpus)
    reasons = {row["person"][2:]: (row["status"], row["reason"]) for row in rows.values() if row["person"][:2] == "p_"}
    assert reasons == {
        "gone": ("missing", "missing_source"),
        "empty": ("failed", "empty_file"),
        "cut": ("failed", "decode_error"),
        "short": ("failed", "too_short"),
        "late": ("failed", "no_frames"),
        "edge": ("failed", "out_of_frame"),
        "tiny": ("failed", "too_small"),
        "header": ("failed", "bad_annotation"),
    }
    assert len(rows) == 11
    assert len(store.clips()) == 3
    with pytest.raises(TooManyFailures, match=r"1 of 11 clips are missing, crop.max_missing_rate allows 0%.*gone"):
        crop(corpus, tolerant(max_missing_rate=0.0))
    with pytest.raises(TooManyFailures, match=r"4 of 10 clips failed, crop.max_fail_rate allows 30%"):
        crop(corpus, tolerant(max_fail_rate=0.3))


def test_a_video_that_ends_early_gives_a_shorter_clip_and_a_note(corpus):
    write_track(corpus / "vox1" / "txt" / "id_va" / "va" / "00001.txt", [BOX] * 14, 12)
    store = crop(corpus)
    assert store.num_frames("id_va#va#000012#000026") == 12
    assert "the video ends at reference frame 24" in ledger(corpus)["id_va#va#000012#000026"]["detail"]


def test_nothing_left_is_refused(corpus):
    for path in corpus.glob("vox*/**/*.mp4"):
        path.write_bytes(b"")
    with pytest.raises(TooManyFailures, match="no clip is left"):
        crop(corpus, tolerant())


def test_a_second_run_decodes_nothing_and_gives_the_same_bytes(corpus, monkeypatch):
    def digest():
        return {p.name: p.read_bytes() for p in (corpus / "clips" / "eval").iterdir()}

    crop(corpus)
    first = digest()
    monkeypatch.setattr(crop_run, "crop_clip", lambda task: pytest.fail(f"{task.request.clip} was made again"))
    crop(corpus)
    assert digest() == first


def test_a_changed_video_or_setting_is_made_again(corpus):
    crop(corpus)
    made = set((corpus / "scratch").glob("*/*"))
    write_video(corpus / "vox1" / "videos" / "va.mp4", 25, size_hw=FRAME_HW)
    crop(corpus)
    assert len(set((corpus / "scratch").glob("*/*")) - made) == 1
    crop(corpus, CROP.model_copy(update={"size_px": 16}))
    assert len(set((corpus / "scratch").glob("*/*")) - made) == 4


def test_counts_in_must_be_counts_out():
    row = LedgerRow("D", "test", "a", "p", "v", "decode_error", "broken")
    check_complete(["a"], [row])
    for asked, rows in ((["a", "b"], [row]), (["a"], [row, row]), ([], [row])):
        with pytest.raises(RuntimeError, match="does not account"):
            check_complete(asked, rows)
    assert summary([row, row]) == ["D test: 2 failed, decode_error (such as a: broken)"]


def test_one_data_set_is_listed_as_it_is_beside_another(corpus):
    both = list_clips(data_params(corpus, voxceleb1(), released()), CROP.tube)
    alone = list_clips(data_params(corpus, voxceleb1(), None), CROP.tube)
    assert alone.requests == [request for request in both.requests if request.dataset == "VoxCeleb1"]
    assert [source.name for source in alone.sources] == ["VoxCeleb1"]


def test_real_clips_are_all_made(tmp_path):
    root = shared("realvox").parent
    source = {"name": "VoxCeleb1", "kind": "fomm_csv", "folder": "realvox", "annotations": "vox-metadata.csv"}
    source["watch"] = "realvox"
    first = voxceleb1().model_validate({**source, "videos": "videos", "split": "listed"})
    clips = list_clips(data_params(root, first, released(folder="voxceleb2_samples")), CROP.tube)
    assert len(clips.requests) == 15
    short = [request for request in clips.requests if request.clip.startswith(("id90001#", "id00061#", "id90010#"))]
    clips.requests[:] = short
    crop_all(clips, tmp_path / "clips", CROP, tmp_path / "s", workers=0, scheduler=None, clip_timeout_s=60)
    lengths = {p: ClipStore(tmp_path / "clips" / p).index["num_frames"].to_pylist() for p in ("train", "eval")}
    assert lengths == {"train": [78], "eval": [160, 126]}


def pack(folder, error=None):
    with PackedFolder(folder, "png", 1 << 20, {"encoding": "png"}) as packed:
        if error:
            raise error
        packed.finish(LEDGER.empty_table())


def test_an_unfinished_pack_leaves_the_old_one(tmp_path):
    pack(tmp_path / "eval")
    with pytest.raises(RuntimeError, match="stopped"):
        pack(tmp_path / "eval", RuntimeError("stopped"))
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["eval", "index.parquet", "ledger.parquet"]
