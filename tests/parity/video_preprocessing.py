"""FOMM's video preprocessing: boxes, frames of a listed range, and the squeezing resize."""

import numpy as np

from pipeline.cropping.resize import gaussian_antialias, triangle_antialias
from pipeline.sources.boxes import ListedBox, enlarge, iou, union
from pipeline.video.decode import VideoInfo, frames_in_range
from tests.parity.compare import Output, at_the_fitting_seed, compare
from tests.parity.golden import Fixture
from tests.videos import TUBE

SAMPLES = slice(4, None, 8)
INCREASE = 0.1
FAR = 10**6  # a frame so large that only the scaling of a listed box shows, not the clipping


def check(fixture: Fixture) -> list[Output]:
    """Whole numbers must be equal, as FOMM's own resize; Pillow's, the default, may differ by one grey level."""
    golden = fixture.arrays()
    boxes = [tuple(box) for box in golden["boxes"].tolist()]
    following = boxes[1:] + boxes[:1]
    around = {name: [enlarge(box, INCREASE, name) for box in boxes] for name in ("square", "sides")}
    scaled, expected = [], []
    for box, (listed_w, listed_h, real_w, real_h, *wanted) in zip(boxes, golden["scaled_boxes"].tolist(), strict=False):
        rule = ListedBox(box, (FAR * listed_w, FAR * listed_h))
        scaled.append(rule.place((FAR * real_w, FAR * real_h), TUBE))
        expected.append(wanted)
    return [
        compare("aspect_preserved", around["square"], golden["aspect_preserved"]),
        compare("increased", around["sides"], golden["increased"]),
        compare("iou", list(map(iou, boxes, following)), golden["iou_with_next"], 1e-12),
        compare("union", list(map(union, boxes, following)), golden["union_with_next"]),
        compare("scaled_boxes", scaled, expected),
        *_frames(golden),
        *at_the_fitting_seed(fixture, lambda seed: _resized(fixture, golden, seed)),
    ]


def _frames(golden: dict[str, np.ndarray]) -> list[Output]:
    outputs = []
    for i, (fps, listed_fps, start, end) in enumerate(golden["frame_cases"].tolist()):
        longer = VideoInfo(64, 48, fps, int(golden["frame_last"][i]) + 1000)
        kept = frames_in_range(int(start), int(end), listed_fps, longer)
        outputs.append(compare(f"frames_{i}", kept, golden[f"frames_{i}"]))
    return outputs


def _resized(fixture: Fixture, golden: dict[str, np.ndarray], seed: int) -> list[Output]:
    outputs = []
    image = fixture.image_u8("geometry/resize", 320, 320, seed)
    for name, (height, width) in (("resize_down_310x237", (310, 237)), ("resize_up_150x120", (150, 120))):
        cropped = np.ascontiguousarray(image[:height, :width])
        for resize, tolerance in ((gaussian_antialias, 0), (triangle_antialias, 1)):
            small = resize(cropped, 256)[SAMPLES, SAMPLES]
            outputs.append(compare(f"{name} {resize.__name__}", small, golden[f"{name}_sub"], tolerance))
    return outputs
