import json

import pytest

from pipeline.sources.boxes import ListedBox, TubeBox, WholeFrame, clip_to_frame, enlarge, follow, iou, union
from pipeline.video.decode import VideoError, VideoInfo, frames_in_range
from pipeline.work.ledger import ClipError
from tests.helpers import ROOT
from tests.videos import TUBE

GOLDEN = json.loads((ROOT / "tests" / "data" / "fomm_boxes.json").read_text())
BOXES = [tuple(box) for box in GOLDEN["boxes"]]
NEXT = BOXES[1:] + BOXES[:1]


@pytest.mark.parametrize(("shape", "golden"), [("square", "aspect_preserved"), ("sides", "increased")])
def test_enlarging_agrees_with_the_published_rule(shape, golden):
    assert [enlarge(box, 0.1, shape) for box in BOXES] == [tuple(box) for box in GOLDEN[golden]]


def test_overlap_and_union_agree_with_the_published_rules():
    assert [iou(a, b) for a, b in zip(BOXES, NEXT, strict=True)] == pytest.approx(GOLDEN["iou_with_next"], abs=1e-12)
    assert [union(a, b) for a, b in zip(BOXES, NEXT, strict=True)] == [tuple(b) for b in GOLDEN["union_with_next"]]


def test_listed_boxes_scale_as_published():
    for i, (listed_w, listed_h, real_w, real_h, *expected) in enumerate(GOLDEN["scaled_boxes"]):
        huge = (10**6 * real_w, 10**6 * real_h)  # scaling alone: the frame's edge is far away
        rule = ListedBox(BOXES[i], (10**6 * listed_w, 10**6 * listed_h))
        assert rule.place(huge, TUBE) == tuple(expected)


def test_a_listed_box_is_clipped_at_the_edge_without_padding():
    assert ListedBox((10, 20, 900, 700), (640, 480)).place((640, 480), TUBE) == (10, 20, 640, 480)
    with pytest.raises(ClipError, match="out_of_frame"):
        ListedBox((700, 20, 900, 300), (640, 480)).place((640, 480), TUBE)


def test_frames_are_kept_as_published():
    for case, first, last, count in zip(
        *(GOLDEN[key] for key in ("frame_cases", "frame_first", "frame_last", "frame_count")), strict=True
    ):
        fps, listed, start, end = case
        kept = frames_in_range(int(start), int(end), listed, VideoInfo(64, 48, fps, 5000))
        assert (kept[0], kept[-1], len(kept)) == (first, last, count)


def test_a_range_behind_the_end_is_an_error_with_both_numbers():
    with pytest.raises(VideoError, match=r"no_frames.*100 frames.*\[200, 300\)"):
        frames_in_range(200, 300, 25, VideoInfo(64, 48, 25, 100))


def test_a_track_is_cut_where_it_leaves_its_first_box():
    still, moved = (10.0, 10.0, 50.0, 70.0), (200.0, 10.0, 240.0, 70.0)
    slow = [(10.0 + i, 10.0, 50.0 + i, 70.0) for i in range(60)]  # each overlaps the one before, not the first
    assert [(t.first, t.end) for t in follow([still] * 5 + [moved] * 3, 0.25, 1024)] == [(0, 5), (5, 8)]
    pieces = follow(slow, 0.25, 1024)
    assert [t.first for t in pieces] == [0, 25, 50]
    assert pieces[0].box == (10.0, 10.0, 74.0, 70.0)
    assert [(t.first, t.end) for t in follow([still] * 10, 0.25, 4)] == [(0, 4), (4, 8), (8, 10)]
    assert follow([], 0.25, 4) == []


def test_a_tube_scales_from_either_unit_to_the_same_crop():
    pixels = TubeBox((100, 90, 200, 221), "height360")
    fractions = TubeBox((100 / 640, 90 / 360, 200 / 640, 221 / 360), "fraction")
    box = pixels.place((1280, 720), TUBE)
    assert box == fractions.place((1280, 720), TUBE)
    assert box == enlarge((200, 180, 400, 442), 0.1, "square")


STORED_WH, ASPECT = (720, 576), 16 / 15  # PAL's; a player shows it 768 px wide
SQUARE = TUBE.model_copy(update={"pixels": "square"})


def test_boxes_of_a_360_high_frame_land_where_the_player_showed_them():
    """The reference frame has square pixels: here it is 480 px wide, and 1.5 stored px to each of its px."""
    box = TubeBox((100, 90, 200, 190), "height360").place(STORED_WH, TUBE, ASPECT)
    assert box == enlarge((150, 144, 300, 304), 0.1, "square")
    fractions = TubeBox((100 / 480, 90 / 360, 200 / 480, 190 / 360), "fraction")
    assert fractions.place(STORED_WH, TUBE, ASPECT) == box
    assert TubeBox((150, 144, 300, 304), "px").place(STORED_WH, TUBE, ASPECT) == box


@pytest.mark.parametrize(
    ("box", "unit"),
    [
        ((100, 90, 200, 190), "height360"),
        ((100 / 480, 90 / 360, 200 / 480, 190 / 360), "fraction"),
        ((150, 144, 300, 304), "px"),
    ],
)
def test_with_square_pixels_a_box_is_square_as_it_is_shown(box, unit):
    placed = TubeBox(box, unit).place(STORED_WH, SQUARE, ASPECT)
    assert placed == (round(144 / ASPECT), 128, round(336 / ASPECT), 320)  # 160..320 x 144..304 as shown, 10% more
    assert (placed[2] - placed[0]) * ASPECT == pytest.approx(placed[3] - placed[1])


def test_the_frame_ends_where_it_is_shown_to_end():
    right = TubeBox((390, 100, 470, 180), "height360")  # as shown 624..752 of 768, enlarged 611..764
    assert right.place(STORED_WH, SQUARE, ASPECT)[2] == round(764 / ASPECT)
    further = TubeBox((395, 100, 475, 180), "height360")
    with pytest.raises(ClipError, match="out_of_frame.*leaves the 768x576 frame"):
        further.place(STORED_WH, SQUARE, ASPECT)


def test_pixels_that_are_square_make_no_difference():
    for box, unit in (
        ((100, 90, 200, 190), "height360"),
        ((0.2, 0.3, 0.5, 0.6), "fraction"),
        ((80, 90, 180, 170), "px"),
    ):
        assert TubeBox(box, unit).place((640, 360), TUBE) == TubeBox(box, unit).place((640, 360), SQUARE)


def test_a_tube_is_refused_when_small_or_sticking_out():
    with pytest.raises(ClipError, match="too_small"):
        TubeBox((100, 90, 110, 110), "height360").place((640, 360), TUBE)
    edge = TubeBox((2, 90, 102, 190), "height360")
    with pytest.raises(ClipError, match="out_of_frame"):
        edge.place((640, 360), TUBE)
    assert edge.place((640, 360), TUBE.model_copy(update={"outside": "clip"})) == (0, 80, 112, 200)


def test_a_whole_frame_is_width_by_height():
    assert WholeFrame().place((224, 180), TUBE) == (0, 0, 224, 180)
    assert clip_to_frame((-3, -4, 10, 12), (8, 9)) == (0, 0, 8, 9)
