from fractions import Fraction

import av
import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.sources.boxes import TubeBox
from pipeline.sources.listing import list_source
from pipeline.sources.request import SourceError
from pipeline.tools import detect, utterance
from pipeline.tools.detect import detect_all
from pipeline.tools.face_detector import S3fd
from pipeline.tools.utterance import frames_shown, nearest
from pipeline.video.decode import VideoInfo
from pipeline.work.scratch import remove_pieces
from tests.videos import SIZE_HW, TUBE, frame_image, frame_number, voxceleb1, write_track, write_video

SOURCE = voxceleb1().model_copy(update={"detections": "detections.parquet"})


class TwoFaces:
    """Finds a face that drifts with the frame's number, and another far away; nothing on frame 9."""

    def __call__(self, frame):
        number = frame_number(frame)
        if number == 9:
            return np.zeros((0, 4))
        return np.array([[120, 60, 150, 90], [-5 + number, 20, 45 + number, 80]], float)


def open_two_faces(weights):
    return TwoFaces()


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    (tmp_path / "weights").write_bytes(b"weights")
    write_video(tmp_path / "vox1" / "videos" / "va.mp4", 40)
    box = (10, 80, 180, 220)  # of a 360-high frame; about 3..51 x 21..80 px of this one
    write_track(tmp_path / "vox1" / "txt" / "id10270" / "va" / "00001.txt", [box] * 20, 3)
    write_track(tmp_path / "vox1" / "txt" / "id10270" / "gone" / "00001.txt", [box] * 20, 3)
    return tmp_path


def run_detector(root):
    return detect_all(SOURCE, root, root / "weights", workers=0, timeout_s=60, open_detector=open_two_faces)


def test_the_detection_that_overlaps_the_annotation_most_is_kept(root):
    assert run_detector(root) == 1
    rows = pq.read_table(root / "vox1" / "detections.parquet").to_pylist()
    assert [row["frame"] for row in rows] == list(range(3, 23))
    assert [rows[0][side] for side in ("left", "top", "right", "bottom")] == [0, 20, 48, 80]  # cut at 0
    assert [rows[6][side] for side in ("left", "top", "right", "bottom")] == [0, 0, 0, 0]


def test_tubes_are_cut_from_the_detections_and_every_annotation_is_counted(root):
    run_detector(root)
    clips = list_source(SOURCE, root, TUBE, "data.first")
    assert [(r.start, r.end) for r in clips.requests] == [(3, 9), (9, 10), (10, 23)]
    assert clips.requests[2].box == TubeBox((5.0, 20.0, 67.0, 80.0), "px")
    assert [(row.video, row.reason) for row in clips.unreadable] == [("gone", "missing_source")]


def test_an_utterance_that_was_never_looked_at_is_counted(root):
    run_detector(root)
    write_video(root / "vox1" / "videos" / "gone.mp4", 40)
    clips = list_source(SOURCE, root, TUBE, "data.first")
    assert [(row.video, row.reason) for row in clips.unreadable] == [("gone", "no_detections")]


def test_finished_utterances_are_not_looked_at_again(root, monkeypatch):
    run_detector(root)
    first = (root / "vox1" / "detections.parquet").read_bytes()
    monkeypatch.setattr(detect, "detect_utterance", lambda utterance: pytest.fail("looked again"))
    run_detector(root)
    assert (root / "vox1" / "detections.parquet").read_bytes() == first


def test_detections_of_other_code_are_not_taken_and_those_of_a_person_can_be_removed(root, monkeypatch):
    run_detector(root)
    looked = []
    detect_one = detect.detect_utterance
    monkeypatch.setattr(detect, "detect_utterance", lambda one: looked.append(one.key) or detect_one(one))
    monkeypatch.setattr(utterance, "code_sha256", lambda *modules: f"edited {modules}")
    run_detector(root)
    assert looked == [("id10270", "va", "00001")]
    assert remove_pieces(root / "data" / "scratch", "id10270") == 2


def test_a_missing_table_or_video_is_one_message(root):
    with pytest.raises(SourceError, match=r"no table at .*detections\.parquet.*`pwm data detect` writes it"):
        list_source(SOURCE, root, TUBE, "data.first")
    (root / "vox1" / "videos" / "va.mp4").unlink()
    with pytest.raises(SourceError, match="no annotation below .* has a video"):
        run_detector(root)


def test_reference_frames_are_looked_up_by_time():
    assert frames_shown(4, 5, VideoInfo(8, 8, 25.0, 100)) == [4, 5, 6, 7, 8]
    assert frames_shown(5, 3, VideoInfo(8, 8, 50.0, 100)) == [10, 12, 14]
    assert frames_shown(2, 4, VideoInfo(8, 8, 12.5, 100)) == [1, 1, 2, 2]
    uneven = VideoInfo(8, 8, 10.0, 3, np.array([0.0, 0.1, 0.5]))
    assert frames_shown(0, 15, uneven) == [0, 0, 0] + [1] * 10 + [2, 2]
    assert frames_shown(90, 20, VideoInfo(8, 8, 25.0, 100)) == list(range(90, 100))


def test_without_any_detection_the_box_is_empty():
    assert nearest(np.zeros((0, 4)), (1, 2, 3, 4)) == (0, 0, 0, 0)


def test_the_published_detector_sees_rgb_frames_and_gives_boxes_alone(tmp_path, monkeypatch):
    sfd = pytest.importorskip("face_alignment.detection.sfd.sfd_detector")
    seen = []

    class Package:
        def __init__(self, device, path_to_detector):
            seen.append((device, path_to_detector))

        def detect_from_image(self, image):
            seen.append(image)
            return [np.array([1, 2, 3, 4, 0.9])] if image.any() else []

    monkeypatch.setattr(sfd, "SFDDetector", Package)
    detector = S3fd(tmp_path / "s3fd.pth")
    frame = np.zeros((4, 6, 3), np.uint8)
    assert detector(frame).shape == (0, 4)
    frame[..., 0] = 255
    assert detector(frame).tolist() == [[1, 2, 3, 4]]
    assert seen[0] == ("cpu", str(tmp_path / "s3fd.pth"))
    assert (seen[-1] == frame).all()


def test_annotations_of_an_anamorphic_video_are_compared_where_they_were_made(tmp_path, monkeypatch):
    """The 360-high frame has square pixels: 450..560 of it are 90..112 of stored pixels of 4:3."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    (tmp_path / "weights").write_bytes(b"weights")
    video = tmp_path / "vox1" / "videos" / "va.mp4"
    video.parent.mkdir(parents=True)
    with av.open(str(video), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        (stream.height, stream.width), stream.pix_fmt = SIZE_HW, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        for number in range(30):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame_image(number), format="rgb24")))
        container.mux(stream.encode())
    write_track(tmp_path / "vox1" / "txt" / "id10270" / "va" / "00001.txt", [(450, 225, 110, 112)] * 20, 3)
    faces = np.array([[120, 60, 149, 90], [90, 60, 112, 90]], float)
    detect_all(
        SOURCE, tmp_path, tmp_path / "weights", workers=0, timeout_s=60, open_detector=lambda path: lambda frame: faces
    )
    rows = pq.read_table(tmp_path / "vox1" / "detections.parquet").to_pylist()
    assert {(row["left"], row["right"]) for row in rows} == {(90, 112)}
