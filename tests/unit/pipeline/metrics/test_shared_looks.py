"""No network looks twice at one image: FAN's points serve AKD, CSIM's alignment and the trackers."""

from collections import Counter
from dataclasses import dataclass, field
from itertools import permutations
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks.stand_ins import write_onnx
from model.heads.head import HeadModel
from pipeline.metrics.backends.arcface import ArcFace
from pipeline.metrics.backends.fan import Fan
from pipeline.metrics.backends.head_codes import HeadCodes
from pipeline.metrics.images import Images, image_key
from pipeline.metrics.protocols import BackendFailed
from pipeline.metrics.readings import Readings
from pipeline.trackers.fan import Faces
from tests.helpers import random_head
from tests.puppet_studio import codes, landmarks_px, person

SIZE = (48, 64)
NO_MAP = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


@dataclass
class CountedFaces:
    """Stands for FAN and S3FD: counts how often it sees each image; it finds no face in a black one."""

    weights_sha256: str = "sha"
    fingerprint: str = "counted"
    seen: Counter = field(default_factory=Counter)
    broken: bool = False

    def look(self, frames_u8: np.ndarray) -> Faces:
        if self.broken:
            raise RuntimeError("out of memory")
        self.seen.update(map(image_key, frames_u8))
        marks = landmarks_px(codes(person()), NO_MAP, SIZE).astype(np.float32)
        points = np.stack([marks + frame.mean() / 64 for frame in frames_u8])
        score = np.array([frame.max() / 255 for frame in frames_u8], np.float32)
        points[score == 0], score[score == 0] = np.nan, np.nan
        return Faces(points, score)


class Reader:
    """Stands for a tracker's network: its codes are the face's place."""

    weights_sha256 = "sha"

    def __init__(self, finder: CountedFaces, fingerprint: str) -> None:
        self.finder, self.fingerprint, self.head = finder, fingerprint, HeadModel(random_head())

    def read_faces(self, frames_u8: np.ndarray, faces: Faces, min_score: float) -> SimpleNamespace:
        fits = [torch.from_numpy(faces.landmarks_px[:, :n, 0]) for n in (self.head.num_expression, self.head.num_pose)]
        return SimpleNamespace(fit=SimpleNamespace(expression=fits[0], pose=fits[1]))


@pytest.fixture(scope="module")
def frames_u8() -> np.ndarray:
    frames = np.random.default_rng(0).integers(1, 255, (6, *SIZE, 3), np.uint8)
    frames[4] = 0
    return frames


@pytest.fixture(scope="module")
def images(frames_u8) -> Images:
    """Ten images of six frames."""
    return Images.of(frames_u8)[np.array([0, 1, 2, 1, 3, 4, 5, 0, 0, 4])]


@pytest.fixture(scope="module")
def onnx(tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "arcface.onnx"
    write_onnx(path)
    return path


def backends(finder: CountedFaces, onnx) -> dict[str, object]:
    found = {"fan": Fan(finder), "arcface": ArcFace(onnx, Fan(finder))}
    for name in ("deca", "deep3d"):
        found[name] = type(name, (HeadCodes,), {"name": name})(Reader(finder, name), 0.5)
    return found


def reading_of(backend) -> str:
    if isinstance(backend, HeadCodes):
        return f"head_codes:{backend.reader.head.name}"
    return {"fan": "landmarks_px", "arcface": "embedding"}[backend.name]


@pytest.mark.parametrize("order", list(permutations(["fan", "arcface", "deca"])), ids="-".join)
def test_whatever_asks_first_each_image_is_looked_at_once(order, images, frames_u8, onnx, tmp_path):
    finder = CountedFaces()
    opened, readings = backends(finder, onnx), Readings(tmp_path, batch_size=4)
    found = {name: readings.read(opened[name], reading_of(opened[name]), images) for name in (*order, "deep3d")}
    assert finder.seen == Counter({image_key(frame): 1 for frame in frames_u8})
    alone = backends(CountedFaces(), onnx)
    for name, values in found.items():
        expected = alone[name].observe(images.decoded(slice(None)))[reading_of(alone[name])]
        np.testing.assert_allclose(np.stack(values), expected, rtol=1e-6)
        assert np.isnan(values[5]).all(), "the black image shows no face"
        assert np.isfinite(values[0]).all()


def test_what_was_let_go_is_looked_at_again_and_what_is_kept_is_not(images, frames_u8, onnx, tmp_path):
    finder = CountedFaces()
    opened, readings = backends(finder, onnx), Readings(tmp_path, batch_size=4)
    readings.read(opened["arcface"], "embedding", images)
    readings.keep(opened["arcface"], images)
    readings.forget([image_key(frames_u8[0])])
    readings.read(opened["fan"], "landmarks_px", images)
    assert finder.seen[image_key(frames_u8[0])] == 2
    assert finder.seen[image_key(frames_u8[1])] == 1
    again = CountedFaces()
    Readings(tmp_path, batch_size=4).read(backends(again, onnx)["arcface"], "embedding", images)
    assert not again.seen


def test_a_base_that_fails_fails_whoever_stands_on_it(images, onnx, tmp_path):
    opened = backends(CountedFaces(broken=True), onnx)
    with pytest.raises(
        BackendFailed, match=r"arcface cannot run .*fan cannot run \(RuntimeError: out of memory\)"
    ) as why:
        Readings(tmp_path, batch_size=4).read(opened["arcface"], "embedding", images)
    assert why.value.backend_name == "arcface"
