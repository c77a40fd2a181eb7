"""PIRender's windows: order of the numbers, the published crop triple, clamped ends, borrowed neighbours."""

import numpy as np
import pyarrow as pa
import pytest
import torch

from pipeline.adapters.pirender.coefficients import CROP_SCALE, at_source_scale, coefficients
from pipeline.methods.views import ClipView
from pipeline.store.columns import vector_column
from pipeline.store.fits import FitTable
from tests.helpers import shared
from tests.puppet_studio import codes, landmarks_px, person

CPU = torch.device("cpu")
SIZE = (256, 256)
LENGTH = 40
CLIPS = {"long": LENGTH, "single": 1}


def table(marks: np.ndarray, bad: tuple[int, ...] = (), head: str = "bfm") -> FitTable:
    """A table of fits: row r's expression begins with r, its angles with 100 + r, its camera with 200 + r."""
    rows = sum(CLIPS.values())
    number = np.arange(rows, dtype=np.float32)

    def filled(start: float, width: int) -> np.ndarray:
        values = start + number[:, None] + np.arange(width, dtype=np.float32) / 128
        values[list(bad)] = np.nan
        return vector_column(values)

    landmarks = np.resize(marks, (rows, 68, 2)) / 128 - 1
    columns = {
        "clip": pa.array([clip for clip, length in CLIPS.items() for _ in range(length)]),
        "frame": pa.array([at for length in CLIPS.values() for at in range(length)], pa.int32()),
        "status": pa.array(["no_landmarks" if row in bad else "ok" for row in range(rows)]),
        "shape": filled(300, 80),
        "expression": filled(0, 64),
        "pose": filled(100, 3),
        "camera": filled(200, 3),
        "tracker_map": filled(400, 6),
        "landmarks": vector_column(landmarks.reshape(rows, 136).astype(np.float32)),
    }
    return FitTable(pa.table(columns).replace_schema_metadata({"head": head}), "fits.parquet")


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    """(3, 68, 2) px."""
    identity = np.array([1, 0, 0, 0, 1, 0], np.float32)
    return np.stack([landmarks_px(codes(person(), scale=scale), identity, SIZE) for scale in (1 / 16, 1 / 20, 1 / 25)])


def view(fits: FitTable, clip: str, *frames: int, size: tuple[int, int] = SIZE) -> ClipView:
    def no_images() -> np.ndarray:
        raise AssertionError("coefficients need no image")

    return ClipView(no_images, size, np.array([clip] * len(frames), object), np.array(frames), fits, CPU)


def numbers_of(fits: FitTable, clip: str, *frames: int, reach: int = 0, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Coefficients (frames * window, 73)."""
    seen = view(fits, clip, *frames, size=size)
    return coefficients(seen.fit(reach, reach), seen.landmarks(reach, reach), size).numpy()


def window(fits: FitTable, clip: str, frame: int) -> np.ndarray:
    return numbers_of(fits, clip, frame, reach=13).T


def test_the_numbers_come_in_the_published_order(faces):
    (found,) = numbers_of(table(faces), "long", 7)
    assert found.shape == (73,)
    assert found.dtype == np.float32
    assert (found[0], found[63], found[64], found[67]) == pytest.approx((7, 7 + 63 / 128, 107, 207), abs=1e-5)


def test_the_crop_triple_is_the_published_alignments():
    with np.load(shared("golden/geometry/deep3d.npz")) as stored:
        marks, expected = stored["landmarks"] + 0.5, stored["trans_params"]
        sizes = np.stack([stored["image_height"], stored["image_width"]], 1)
    for face, size, published in zip(marks, sizes, expected, strict=True):
        in_ndc = table((face / size[::-1] * 256)[None])
        (found,) = numbers_of(in_ndc, "long", 0, size=tuple(size.tolist()))
        np.testing.assert_allclose(found[70:], published.ravel()[2:], rtol=1e-5)


def test_a_smaller_face_has_a_larger_crop_scale_by_the_true_factor(faces):
    scales = numbers_of(table(faces), "long", 0, 1, 2)[:, CROP_SCALE]
    np.testing.assert_allclose(scales[1:] / scales[0], [20 / 16, 25 / 16], rtol=1e-4)


@pytest.mark.parametrize(("frame", "frames"), [
    (20, range(7, 34)), (0, [0] * 13 + list(range(14))), (39, list(range(26, 40)) + [39] * 13),
])  # fmt: skip
def test_a_window_holds_27_frames_and_repeats_the_ends(faces, frame, frames):
    found = window(table(faces), "long", frame)
    assert found.shape == (73, 27)
    np.testing.assert_allclose(found[0], list(frames))
    (middle,) = numbers_of(table(faces), "long", frame)
    np.testing.assert_array_equal(found[:, 13], middle)


def test_a_single_image_repeats_itself(faces):
    found = window(table(faces), "single", 0)
    np.testing.assert_array_equal(found, found[:, :1].repeat(27, 1))
    assert found[0, 0] == LENGTH


def test_a_neighbour_without_a_fit_is_its_nearest_the_older_of_two(faces):
    found = window(table(faces, bad=(8, 15, 21, 22)), "long", 20)
    expected = {8: 7, 15: 14, 21: 20, 22: 23}
    np.testing.assert_allclose(found[0], [expected.get(at, at) for at in range(7, 34)])
    assert np.isfinite(found).all()


def test_another_identity_gets_the_sources_scale_and_keeps_the_rest(faces):
    fits = table(faces)
    driving, (source,) = window(fits, "long", 20), numbers_of(fits, "long", 0)
    found = at_source_scale(torch.from_numpy(driving)[None], torch.from_numpy(source)[None])[0].numpy()
    assert found[CROP_SCALE, 13] == pytest.approx(source[CROP_SCALE])
    assert driving[CROP_SCALE, 13] != pytest.approx(source[CROP_SCALE], rel=0.1)
    ratios = (numbers[CROP_SCALE] / numbers[CROP_SCALE, 13] for numbers in (found, driving))
    np.testing.assert_allclose(*ratios, rtol=1e-6)
    np.testing.assert_array_equal(np.delete(found, CROP_SCALE, 0), np.delete(driving, CROP_SCALE, 0))
    np.testing.assert_array_equal(driving, window(fits, "long", 20))


def test_a_frame_without_a_fit_drives_nothing(faces):
    with pytest.raises(ValueError, match="fits.parquet: frame 20 of clip long has no fit"):
        window(table(faces, bad=(20,)), "long", 20)
