"""Adapters on puppets, whose truth is known: images come back to their place, what drives moves as the driver does."""

from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from model.heads.fit import HeadFit
from pipeline.adapters.pirender.coefficients import CROP_SCALE, REACH
from pipeline.method_table import BASELINES
from pipeline.methods.placement import put_back
from pipeline.methods.protocol import Adapter, Driven, View
from pipeline.methods.registry import adapter_named
from pipeline.released.systems import network_of
from tests.puppet_studio import studio
from tests.puppet_views import MARKED, SIZE, PuppetView, shown_at

HERE = PuppetView({})
MOVED = PuppetView({}, shift=(0.125, -0.0625))
FARTHER = PuppetView({"scale": 1 / 20}, shift=(-0.1, 0.08))
TURNED = PuppetView({"yaw_deg": 20.0})


class OfBfm(PuppetView):
    """A puppet's landmarks, with codes and a camera of the Basel face's sizes."""

    def fit(self, before: int = 0, after: int = 0) -> HeadFit:
        count = before + 1 + after
        sizes = {"shape": 80, "expression": 64, "pose": 3, "camera": 3, "tracker_map": 6}
        return HeadFit(**{name: torch.full((count, size), 0.25) for name, size in sizes.items()})


class Nearer(OfBfm):
    """The same, turned and moved in its tracker's camera."""

    def fit(self, before: int = 0, after: int = 0) -> HeadFit:
        fit = super().fit(before, after)
        return fit.replace(
            pose=fit.pose + torch.tensor([0.1, -0.2, 0.3]), camera=fit.camera + torch.tensor([0.01, 0.02, -0.5])
        )


OWN_CROP = [name for name in BASELINES if adapter_named(name).has_own_crop]
BY_IMAGE = [name for name in BASELINES if not adapter_named(name).table]
SAME = torch.tensor([True])
TRANSLATION = slice(67, 70)


@cache
def adapter(name: str) -> Adapter:
    """Of the network as it is released, without the memory for its weights: adapters read its sizes alone."""
    with torch.device("meta"):
        network = network_of(name)
    kind = adapter_named(name)
    return kind(network, studio().head if kind.table == "own" else None)


def drive(name: str, source: View, driving: View, own_crop: bool = False) -> Driven:
    return adapter(name).drive(source, driving, SAME, own_crop)


def returned(driven: Driven, source: PuppetView) -> Tensor:
    """What the clip's frame shows if the network hands its source on."""
    return put_back(driven.source, SIZE, driven.squares, source.images)


def in_px(displacement_ndc: tuple[float, float], side: int) -> np.ndarray:
    return np.array(displacement_ndc) * side / 2


@pytest.mark.parametrize("name", BASELINES)
def test_what_was_resized_comes_back_to_its_place(name: str):
    kind = OfBfm if adapter_named(name).table == "bfm" else PuppetView
    driven = drive(name, kind(TURNED.pose), kind({}, MOVED.shift))
    side = driven.source.shape[-1]
    assert driven.source.shape == (1, 3, side, side)
    for part in MARKED:
        np.testing.assert_allclose(shown_at(returned(driven, TURNED), part), TURNED.centre(part), rtol=0, atol=0.5)
        np.testing.assert_allclose(
            shown_at(driven.source, part), TURNED.centre(part) * (side / SIZE[1], side / SIZE[0]), rtol=0, atol=1
        )


@pytest.mark.parametrize("name", OWN_CROP)
@pytest.mark.parametrize("driver", [HERE, MOVED, FARTHER])
def test_an_own_crop_comes_back_to_where_the_drivers_face_is(name: str, driver: PuppetView):
    """The source's crop shows the driver's pose, so that handing it on shows the driver's parts in their places."""
    driven = drive(name, HERE, driver, own_crop=True)
    shown = returned(driven, PuppetView({"yaw_deg": 90.0}, shift=(-3.0, 0.0)))  # nothing around the square
    for part in MARKED:
        np.testing.assert_allclose(shown_at(shown, part), driver.centre(part), rtol=0, atol=1)


@pytest.mark.parametrize("name", BY_IMAGE)
def test_a_driving_image_shows_the_driver_in_its_place(name: str):
    driving = drive(name, HERE, FARTHER).signals["driving"]
    side = driving.shape[-1]
    for part in MARKED:
        truth = FARTHER.centre(part) * (side / SIZE[1], side / SIZE[0])
        np.testing.assert_allclose(shown_at(driving, part), truth, rtol=0, atol=1)


def lit(drawing: Tensor) -> np.ndarray:
    """(2,) middle of what is drawn, px; the stickman's canvas of 1 in 255 does not count."""
    weights = (drawing[0].amax(0) > 0.5).double().numpy()
    rows, columns = np.mgrid[: weights.shape[0], : weights.shape[1]] + 0.5
    return np.array([(columns * weights).sum(), (rows * weights).sum()]) / weights.sum()


@pytest.mark.parametrize(
    ("name", "signal", "by_driver"),
    [("bilayer", "stickman", False), ("lsr", "driving_contour", True), ("lsr", "source_contour", False)],
)
def test_a_drawing_moves_as_the_face_does(name: str, signal: str, by_driver: bool):
    """In the shared crop by the true displacement; in a crop that follows the face not at all."""
    before = drive(name, HERE, HERE).signals[signal]
    after = drive(name, *((HERE, MOVED) if by_driver else (MOVED, HERE))).signals[signal]
    moved = lit(after) - lit(before)
    np.testing.assert_allclose(moved, in_px(MOVED.shift, before.shape[-1]), rtol=0, atol=1)
    own = [drive(name, view, view, own_crop=True).signals[signal] for view in (HERE, MOVED)]
    np.testing.assert_allclose(lit(own[1]), lit(own[0]), rtol=0, atol=2)


@pytest.mark.parametrize("name", ["bilayer"])
def test_bilayers_landmarks_are_the_drivers_less_half_a_pixel(name: str):
    """Quirk: in the shared crop half a pixel of the network's 256, as if the frame had that size."""
    signals = drive(name, HERE, MOVED).signals
    for side, view in (("source", HERE), ("driving", MOVED)):
        expected = view.landmarks() - 1 / 256
        torch.testing.assert_close(signals[f"{side}_landmarks"], expected, rtol=0, atol=1e-6)
    assert (signals["mask"] == 1).all()
    assert signals["mask"].shape == (1, 1, 256, 256)


def test_lsrs_contours_lie_on_the_true_landmarks():
    drawing = drive("lsr", HERE, MOVED).signals["driving_contour"][0].amax(0).numpy()
    at = MOVED.landmarks_px * (224 / SIZE[1], 224 / SIZE[0])
    columns, rows = np.floor(at).astype(int).T
    assert (drawing[rows, columns] > 0.4).all()


def test_headgans_pictures_move_as_the_head_does():
    """By whole pixels of 256, hence to the pixel."""
    before, after = (drive("headgan", HERE, view).signals for view in (HERE, MOVED))
    assert in_px(MOVED.shift, 256).tolist() == [16, -8]
    was, is_now = before["driving_nmfc"][..., 8:, :-16], after["driving_nmfc"][..., :-8, 16:]
    assert (is_now - was).abs().mean() < 1e-4
    assert (is_now - before["driving_nmfc"][..., :-8, 16:]).abs().mean() > 0.02
    assert torch.equal(after["source_nmfc"], before["source_nmfc"])


def test_headgans_pictures_show_the_head_where_it_is():
    """The last of the window's three lies below the true landmarks."""
    picture = drive("headgan", HERE, TURNED).signals["driving_nmfc"][:, -3:]
    columns, rows = np.floor(TURNED.landmarks_px * (256 / SIZE[1], 256 / SIZE[0])).astype(int).T
    inner = slice(17, None)  # the jaw's lies on the rim
    assert (picture[0].amax(0).numpy()[rows, columns][inner] > 0.1).all()


def test_pirenders_angles_translation_and_crop_move_as_the_driver_does():
    before, after = (
        drive("pirender", OfBfm({}), view).signals["coefficients"][0]
        for view in (OfBfm({}), Nearer({}, shift=MOVED.shift))
    )
    assert before.shape == (73, 2 * REACH + 1)
    moved = (after - before)[:, REACH].numpy()
    np.testing.assert_allclose(moved[:64], 0)
    np.testing.assert_allclose(moved[64:67], [0.1, -0.2, 0.3], atol=1e-6)
    np.testing.assert_allclose(moved[TRANSLATION], [0.01, 0.02, -0.5], atol=1e-6)
    assert moved[CROP_SCALE] == pytest.approx(0, abs=1e-4)
    right, down = in_px(MOVED.shift, 256)
    np.testing.assert_allclose(moved[71:], [right, -down], atol=1e-3)  # y up


def test_pirenders_crop_is_that_of_a_256_px_frame_whatever_the_clips_size():
    small, large = (
        drive("pirender", OfBfm({}, size_hw=size), OfBfm({}, size_hw=size)).signals["coefficients"]
        for size in ((64, 64), (512, 512))
    )
    torch.testing.assert_close(small, large, rtol=1e-5, atol=1e-4)
