"""FOMM's preprocessing against its published routines and the whole published crop table."""

import csv

import numpy as np
import pytest

from pipeline.sources.boxes import ListedBox, enlarge, iou, union
from pipeline.video.decode import VideoInfo, frames_in_range
from pipeline.work.ledger import ClipError
from tests.helpers import shared
from tests.videos import TUBE


@pytest.fixture(scope="module")
def golden():
    return np.load(shared("golden/geometry/video_preprocessing.npz"))


def test_every_box_rule_agrees(golden):
    boxes = [tuple(box) for box in golden["boxes"].tolist()]
    following = boxes[1:] + boxes[:1]
    assert [enlarge(box, 0.1, "square") for box in boxes] == [tuple(b) for b in golden["aspect_preserved"].tolist()]
    assert [enlarge(box, 0.1, "sides") for box in boxes] == [tuple(b) for b in golden["increased"].tolist()]
    overlaps = [iou(a, b) for a, b in zip(boxes, following, strict=True)]
    np.testing.assert_allclose(overlaps, golden["iou_with_next"], atol=1e-12)
    joined = [union(a, b) for a, b in zip(boxes, following, strict=True)]
    assert joined == [tuple(b) for b in golden["union_with_next"].tolist()]


def test_exactly_the_published_frames_are_kept(golden):
    for case, (fps, listed, start, end) in enumerate(golden["frame_cases"].tolist()):
        kept = frames_in_range(int(start), int(end), listed, VideoInfo(64, 48, fps, 5000))
        assert kept == golden[f"frames_{case}"].tolist()


@pytest.mark.parametrize("real_wh", [None, (640, 360), (854, 480), (1920, 1080)])
def test_every_published_box_is_cut_out_as_numpy_slices_it(real_wh):
    """load_videos.py scales the box and slices; a slice that leaves the frame is silently shorter."""
    with shared("voxceleb/vox-metadata.csv").open() as file:
        rows = list(csv.DictReader(file))
    leaving = 0
    for row in rows:
        listed = int(row["width"]), int(row["height"])
        width, height = real_wh or listed
        box = tuple(int(v) for v in row["bbox"].split("-"))
        left, top, right, bottom = (
            int(v / r) for v, r in zip(box, (listed[0] / width, listed[1] / height) * 2, strict=True)
        )
        columns, lines = range(width)[left:right], range(height)[top:bottom]
        try:
            placed = ListedBox(box, listed).place((width, height), TUBE)
        except ClipError:
            assert not (columns and lines)
            continue
        assert placed == (columns.start, lines.start, columns.stop, lines.stop)
        leaving += right > width or bottom > height
    assert len(rows) == 20_075
    assert leaving == 866 if real_wh is None else leaving > 0
