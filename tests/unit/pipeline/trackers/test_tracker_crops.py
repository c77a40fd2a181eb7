"""Crops of the published trackers: their maps agree with what their images show, in the project's frame."""

import numpy as np
import pytest
import torch

from model.frame.coords import apply_affine, px_to_ndc
from model.heads.camera import DEEP3D_CENTRE_PX
from pipeline.trackers import deca_crop, deep3d_crop

SIZE = (200, 320)  # height, width


def face_px(centre=(170.0, 90.0), width=60.0) -> np.ndarray:
    """68 landmarks of a schematic face: eyes, nose and mouth where a template face has them, the rest around."""
    rng = np.random.default_rng(0)
    marks = rng.uniform(-0.5, 0.5, (68, 2))
    marks[36:42], marks[42:48] = (-0.3, -0.25), (0.3, -0.25)
    marks[30], marks[48], marks[54] = (0, 0.05), (-0.25, 0.4), (0.25, 0.4)
    return marks * width + centre


def dot(at_px: np.ndarray) -> np.ndarray:
    """A black (H, W, 3) frame with a soft white dot at a position in px."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    value = np.exp(-((x - at_px[0]) ** 2 + (y - at_px[1]) ** 2) / (2 * 2.5**2))
    return np.repeat(value[..., None], 3, 2)


def centre_px(image: np.ndarray) -> np.ndarray:
    """Centre of mass (2,) of an image (h, w), in px."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]] + 0.5
    return np.array([(x * image).sum(), (y * image).sum()]) / image.sum()


@pytest.mark.parametrize("at_px", [(150.2, 80.7), (181.0, 101.5)])
def test_the_map_of_deca_leads_back_to_where_its_image_was_taken(at_px):
    to_crop = deca_crop.find_crop(torch.from_numpy(face_px())[None])
    img = torch.from_numpy(dot(np.array(at_px))).permute(2, 0, 1)[None]
    seen_px = centre_px(deca_crop.cut(img, to_crop)[0, 0].numpy())
    # DECA's [-1, 1] spans 0 to 224 pixel centres: index = px - 0.5.
    deca_xy = torch.from_numpy((seen_px - 0.5) / 112 - 1)[None, None]
    back = apply_affine(deca_crop.tracker_map(to_crop, SIZE), deca_xy)[0, 0]
    wanted = px_to_ndc(torch.tensor(at_px, dtype=torch.float64), SIZE)
    torch.testing.assert_close(back, wanted, rtol=0, atol=1e-3)  # a tenth of a pixel of the frame


def test_the_crop_of_deca_is_a_fifth_more_than_the_face_and_its_rim_is_black():
    marks = face_px(centre=(10.0, 10.0))
    to_crop = deca_crop.find_crop(torch.from_numpy(marks)[None])
    side = int((np.ptp(marks, axis=0).mean()) * 1.1 * 1.25)
    assert 223 / to_crop[0, :, 0].norm().item() == pytest.approx(side, rel=1e-9)
    crop = deca_crop.cut(torch.ones(1, 3, *SIZE), to_crop)
    assert crop.shape == (1, 3, 224, 224)
    assert crop[..., :20, :].max() == 0  # above and left of the frame
    assert crop[..., 112:, 112:].min() > 0.999


@pytest.mark.parametrize("at_px", [(150.2, 80.7), (181.0, 101.5)])
def test_the_map_of_deep3d_leads_back_to_where_its_image_was_taken(at_px):
    crop = deep3d_crop.find_crop(face_px(), SIZE)
    frame = (dot(np.array(at_px)) * 255).round().astype(np.uint8)
    seen_px = centre_px(deep3d_crop.cut(frame, crop)[..., 0].astype(float))
    xy = torch.from_numpy(seen_px / DEEP3D_CENTRE_PX - 1)[None, None]
    back = apply_affine(torch.from_numpy(deep3d_crop.tracker_map(crop))[None], xy)[0, 0]
    wanted = px_to_ndc(torch.tensor(at_px, dtype=torch.float64), SIZE)
    torch.testing.assert_close(back, wanted, rtol=0, atol=1e-3)


def test_deep3d_sees_the_landmarks_where_they_say_within_the_truncation():
    marks = face_px()
    crop = deep3d_crop.find_crop(marks, SIZE)
    up = deep3d_crop.landmarks_in_crop(marks, crop)
    linear = deep3d_crop.tracker_map(crop).reshape(2, 3)
    ndc = px_to_ndc(torch.from_numpy(marks), SIZE).numpy()
    in_crop_px = ((ndc - linear[:, 2]) / np.diag(linear[:, :2]) + 1) * 112
    y_down = np.stack([up[:, 0], 223 - up[:, 1]], 1) + 0.5
    assert np.abs(in_crop_px - y_down).max() < 2.5  # sides and corner are whole numbers, landmarks are not
    assert np.abs(in_crop_px.mean(0) - 112).max() < 60


@pytest.mark.parametrize("value", [50.0, np.nan])
def test_a_face_without_extent_is_refused(value):
    point = np.full((68, 2), value)
    with pytest.raises(ValueError, match=r"face 1 is empty: its landmarks span no pixel"):
        deca_crop.find_crop(torch.from_numpy(np.stack([face_px(), point])))
    with pytest.raises(ValueError, match="Deep3D's alignment (has no scale|needs five finite points)"):
        deep3d_crop.find_crop(point, SIZE)
