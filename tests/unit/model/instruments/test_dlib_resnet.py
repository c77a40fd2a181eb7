"""dlib's face network in torch: against dlib itself where it lies, and against the layers' plain meaning."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from model.instruments.dlib_resnet import MEAN_RGB, DlibResnet, convert
from model.instruments.face_chips import FIVE_OF_68, MEAN_FACE, face_chips
from tests.dlib_files import STAGES, random_numbers, write_resnet
from tests.open_assets import open_file, oracle

RELEASE = "dlib_face_recognition_resnet_model_v1.dat"


def network(state: dict) -> DlibResnet:
    net = DlibResnet()
    net.load_state_dict(state)
    return net.eval()


def faces(seed: int, count: int) -> np.ndarray:
    """Smooth random faces (count, 150, 150, 3) uint8."""
    coarse = torch.from_numpy(np.random.default_rng(seed).random((count, 3, 12, 12)))
    smooth = F.interpolate(coarse, size=(150, 150), mode="bicubic").clamp(0, 1)
    return np.ascontiguousarray((smooth.permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8))


def planes(frames_u8: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(frames_u8).permute(0, 3, 1, 2).float() / 255


@torch.no_grad()
def test_the_network_does_what_its_layers_say(tmp_path, on_device):
    """In float64, scale and shift apart from the convolutions, shortcuts filled up by hand."""
    numbers = {name: torch.from_numpy(values).double() for name, values in random_numbers(1).items()}
    images = faces(0, 2)

    def layer(x: torch.Tensor, name: str, stride: int, padding: int) -> torch.Tensor:
        found = F.conv2d(x, numbers[f"{name}.kernel"], numbers[f"{name}.bias"], stride, padding)
        return found * numbers[f"{name}.factor"][:, None, None] + numbers[f"{name}.shift"][:, None, None]

    x = (torch.from_numpy(images).permute(0, 3, 1, 2).double() - torch.tensor(MEAN_RGB)[:, None, None]) / 256
    x = F.max_pool2d(layer(x, "stem", 2, 0).relu(), 3, 2)
    block = 0
    for width, count, halves in STAGES:
        for number in range(count):
            down = halves and number == 0
            y = layer(x, f"{block}.first", 2 if down else 1, 0 if down else 1).relu()
            y = layer(y, f"{block}.second", 1, 1)
            x = F.avg_pool2d(x, 2) if down else x
            both = torch.zeros(2, width, max(x.shape[2], y.shape[2]), max(x.shape[3], y.shape[3]), dtype=torch.float64)
            both[:, : x.shape[1], : x.shape[2], : x.shape[3]] += x
            both[:, :, : y.shape[2], : y.shape[3]] += y
            x, block = both.relu(), block + 1
    expected = x.mean((2, 3)) @ numbers["descriptor"]
    net = on_device(network(convert(write_resnet(tmp_path / "random.dat", 1))))
    found = net(on_device(planes(images))).cpu()
    assert expected.abs().mean() > 0.01
    np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-5 * float(expected.abs().max()))


@torch.no_grad()
def test_descriptors_do_not_depend_on_the_batch(tmp_path):
    net, images = network(convert(write_resnet(tmp_path / "random.dat"))), planes(faces(1, 5))
    alone = torch.cat([net(image[None]) for image in images])
    torch.testing.assert_close(net(images), alone, rtol=1e-5, atol=1e-6)
    assert (alone[0] - alone[1]).abs().max() > 1e-3


def test_faces_of_another_size_are_refused():
    with pytest.raises(ValueError, match="takes faces of 150 x 150 px, not"):
        DlibResnet()(torch.zeros(1, 3, 112, 112))


def landmarks_at(five_px: np.ndarray) -> torch.Tensor:
    """68 landmarks of which only the five matter: the others lie anywhere."""
    landmarks = torch.full((1, 68, 2), 7.0)
    landmarks[0, list(FIVE_OF_68)] = torch.from_numpy(five_px).float()
    return landmarks


def turned_face(rng: np.random.Generator, side: float, angle: float, centre: tuple[float, float]) -> np.ndarray:
    """Five points of a face, edge-aligned px on pixel centres, none where it should be exactly."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (np.array(MEAN_FACE) - 0.5) @ turn.T * side + centre + rng.normal(0, 2, (5, 2))
    return np.floor(points) + 0.5


def test_the_mean_face_itself_is_cut_out_unchanged():
    """Its five points in a chip are where padding .25 puts them; a wide image and a shift by whole pixels."""
    rng = np.random.default_rng(0)
    image = torch.from_numpy(rng.random((1, 3, 200, 240), dtype=np.float32))
    five = (np.array(MEAN_FACE) + 0.25) / 1.5 * 150 + (60, 31)
    chip = face_chips(image, landmarks_at(five))
    torch.testing.assert_close(chip, image[:, :, 31:181, 60:210], rtol=0, atol=2e-4)


def test_chips_do_not_depend_on_the_batch_and_shrink_without_aliases(on_device):
    rng = np.random.default_rng(1)
    images = on_device(torch.from_numpy(rng.random((3, 3, 700, 520), dtype=np.float32)))
    marks = on_device(torch.cat([landmarks_at(turned_face(rng, side, 0.3, (260, 350))) for side in (60, 150, 480)]))
    chips = face_chips(images, marks)
    alone = torch.cat([face_chips(images[i : i + 1], marks[i : i + 1]) for i in range(3)])
    assert torch.equal(chips, alone)
    inside = (slice(None), slice(60, 90), slice(60, 90))
    assert chips[2][inside].std() < 0.4 * images.std()  # noise, shrunk almost five times, averages out
    assert chips[0][inside].std() > 0.4 * images.std()
    with pytest.raises(ValueError, match="finite landmarks"):
        face_chips(images[:1], on_device(torch.full((1, 68, 2), float("nan"))))


def test_descriptors_are_dlibs(monkeypatch):
    release = open_file(RELEASE)
    dlib = oracle("dlib", monkeypatch)
    theirs = dlib.face_recognition_model_v1(str(release))
    images = faces(2, 3)
    expected = np.array([list(theirs.compute_face_descriptor(image)) for image in images])
    with torch.no_grad():
        found = network(convert(release))(planes(images)).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert np.abs(expected[0] - expected[1]).max() > 0.01


@pytest.mark.parametrize(("height", "width", "side", "allowed"), [(256, 300, 100, 1.0), (220, 200, 60, 2.5)])
def test_chips_are_dlibs(monkeypatch, height, width, side, allowed):
    """To about a grey level of its own interpolation; half a pixel off is three of these smooth images."""
    dlib = oracle("dlib", monkeypatch)
    rng = np.random.default_rng(3)
    coarse = torch.from_numpy(rng.random((1, 3, height // 12, width // 12)))
    smooth = F.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)
    image = np.ascontiguousarray((smooth[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8))
    five = turned_face(rng, side, 0.2, (width / 2, height / 2))
    points = dlib.points([dlib.point(int(x), int(y)) for x, y in five])  # whole numbers are centres there
    shape = dlib.full_object_detection(dlib.rectangle(0, 0, width - 1, height - 1), points)
    expected = dlib.get_face_chip(image, shape, 150, 0.25).astype(float)
    inside = (slice(20, 130), slice(20, 130))
    error = [
        np.abs(face_chips(planes(image[None]), landmarks_at(five + off))[0].permute(1, 2, 0).numpy() * 255 - expected)[
            inside
        ].mean()
        for off in (0, 0.5, -0.5)
    ]
    assert error[0] < allowed
    assert error[0] < 0.5 * min(error[1:])
