"""A corpus is VoxCeleb's layout with the truth beside it: resumable, and the same bytes each time."""

import hashlib
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import av
import cv2
import numpy as np
import pyarrow as pa
import pytest

from model.heads.head import load_head
from pipeline.puppets import corpus as corpus_module
from pipeline.puppets.annotations import annotation_text
from pipeline.puppets.appearance import PART
from pipeline.puppets.clip import make_clip, plan_corpus
from pipeline.puppets.corpus import write_corpus
from pipeline.puppets.framing import face_box
from pipeline.puppets.video import X264, VideoWriter
from pipeline.store.fits import FitTable
from pipeline.store.schema import read_table
from tests.helpers import shared
from tests.puppet_studio import ASSETS, centre_of, studio
from tests.small_puppets import params


def tiny():
    small = {"frames": 3, "frame_sizes": [[256, 320]], "fps": [25, 30]}
    corpora = {"one": {**params().corpora["one"].model_dump(), "train_people": 1, "test_people": 1}}
    return params(**small, corpora=corpora)


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("corpus")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_ROOT", str(root / "scratch"))
        write_corpus(tiny(), "one", root / "out", 0)
    return root


def test_layout(written):
    out = written / "out"
    people = read_table(out / "people.parquet").to_pylist()
    assert [(p["person"], p["split"]) for p in people] == [("id10001", "train"), ("id10270", "test")]
    for row in people:
        assert (out / "videos" / f"{row['video']}.mp4").is_file()
        assert (out / "txt" / row["person"] / row["video"] / "00001.txt").is_file()
        assert (out / "labels" / f"{row['video']}.arrow").is_file()


def test_videos_labels_and_truth_agree(written):
    out = written / "out"
    for name in ("puppet", "puppet_face"):
        head = load_head(ASSETS / f"{name}.npz")
        table = FitTable.read(out / "truth" / f"{name}.parquet", head)
        for plan in plan_corpus(tiny(), tiny().corpora["one"]):
            with av.open(str(out / "videos" / f"{plan.video}.mp4")) as container:
                stream = container.streams.video[0]
                assert stream.codec_context.name == "h264"
                assert float(stream.average_rate) == plan.fps
                frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
            assert len(frames) == plan.frames
            assert frames[0].shape == (256, 320, 3)
            labels = pa.ipc.open_file(str(out / "labels" / f"{plan.video}.arrow")).read_all()
            assert len(labels) == plan.frames
            label = cv2.imdecode(np.frombuffer(labels["png"][1].as_py(), np.uint8), cv2.IMREAD_UNCHANGED)
            fit = table.head_fit([table.row(plan.video, 1)])
            marks = (head.place_landmarks(fit)[0].numpy() + 1) / 2 * np.array([320, 256])
            mouth = np.isin(label, (PART["lips"], PART["mouth"]))
            tolerance = 5 if name == "puppet" else 7
            middle = 0.5 * (marks[48:60].min(0) + marks[48:60].max(0))
            assert np.allclose(centre_of(mouth, 1), middle, atol=tolerance)
            background = frames[1][label == 0].astype(float)
            assert len(background) > 500


def test_a_second_run_renders_nothing_and_a_fresh_one_the_same(written, tmp_path, monkeypatch):
    first = hashes(written / "out")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "scratch"))
    write_corpus(tiny(), "one", tmp_path / "fresh", 0)
    assert hashes(tmp_path / "fresh") == first
    monkeypatch.setattr(corpus_module, "render_video", None)  # a call would fail
    write_corpus(tiny(), "one", tmp_path / "again", 0)
    assert hashes(tmp_path / "again") == first


def film(path: Path, asm: str) -> str:
    """Encode 75 frames of a puppet-like picture that turns and flickers, with x264 held to some instructions."""
    rng = np.random.default_rng(5)
    picture = cv2.resize(rng.integers(0, 255, (24, 32, 3), np.uint8), (320, 240), interpolation=cv2.INTER_CUBIC)
    with VideoWriter(path, (240, 320), 25, 18, "veryfast", f"{X264}{asm}") as video:
        for frame in range(75):
            moved = np.roll(picture, (frame, round(12 * np.sin(frame / 4))), (0, 1)).astype(int)
            moved[60:140, 80:200] = picture[60:140, 80:200]
            video.write((moved + rng.normal(0, 2, moved.shape)).clip(0, 255).astype(np.uint8))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_x264_gives_the_same_bytes_with_any_instructions_in_any_process(tmp_path):
    asms = ["", "", ":asm=avx2", ":asm=sse4.2", ":asm=0"]
    paths = [tmp_path / f"{number}.mp4" for number in range(len(asms))]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        found = set(pool.map(film, paths, asms))
    assert found == {film(tmp_path / "here.mp4", "")}


def test_workers_make_the_same_corpus(written, tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "scratch"))
    write_corpus(tiny(), "one", tmp_path / "out", 2)
    assert hashes(tmp_path / "out") == hashes(written / "out")


def test_an_unknown_corpus_is_named(tmp_path):
    with pytest.raises(ValueError, match="three.*one"):
        write_corpus(tiny(), "three", tmp_path, 0)


def test_fomms_tube_fits_into_every_clip():
    everything = params(frame_sizes=[[480, 480], [480, 640], [640, 480], [480, 854]])
    for corpus in everything.corpora.values():
        for plan in plan_corpus(everything, corpus):
            clip = make_clip(plan, studio(), everything)
            height, width = plan.size_hw
            boxes = (clip.boxes + 1) / 2 * np.array([width, height] * 2)
            union = np.concatenate([boxes[:, :2].min(0), boxes[:, 2:].max(0)])
            side = (union[2:] - union[:2]).max()
            assert side >= 262
            centre = 0.5 * (union[:2] + union[2:])
            assert (centre - 0.6 * side > 0).all()
            assert (centre + 0.6 * side < np.array([width, height])).all()


def test_face_box_is_tight_and_takes_the_forehead():
    marks = np.random.default_rng(0).uniform((-0.3, -0.2), (0.3, 0.6), (68, 2))
    low, high = marks.min(0), marks.max(0)
    left, top, right, bottom = face_box(marks)
    assert left < low[0]
    assert right > high[0]
    assert top == pytest.approx(low[1] - 0.3 * (high[1] - low[1]))
    assert bottom < high[1] + 0.05


BOXES = np.array([[-0.5, -0.25, 0.5, 0.75], [-1, -1, 0, 1]])


def test_voxceleb1_counts_pixels_of_a_360_high_frame():
    lines = annotation_text("voxceleb1", "id10001", "abcdefghijk", [0, 1], BOXES, (480, 640)).splitlines()
    assert lines[0] == "Identity  : \tid10001"
    assert lines[7:] == ["000000 \t120 \t135 \t240 \t180 ", "000001 \t0 \t0 \t240 \t360 "]


def test_voxceleb2_writes_fractions():
    lines = annotation_text("voxceleb2", "id10001", "abcdefghijk", [4], BOXES[:1], (480, 640)).splitlines()
    assert lines[7:] == ["000004 \t0.250 \t0.375 \t0.500 \t0.500 "]
    with pytest.raises(ValueError, match="voxceleb3"):
        annotation_text("voxceleb3", "a", "b", [0], BOXES[:1], (480, 640))


@pytest.mark.parametrize(("kind", "folder"), [("voxceleb1", "txt1"), ("voxceleb2", "txt2")])
def test_headers_are_those_of_real_files(kind, folder):
    real = sorted(shared(f"realvox/{folder}").rglob("00001.txt"))[0]
    person, video = real.parts[-3], real.parts[-2]
    ours = annotation_text(kind, person, video, [0], BOXES[:1], (480, 640)).splitlines()
    assert real.read_text().splitlines()[:7] == ours[:7]
