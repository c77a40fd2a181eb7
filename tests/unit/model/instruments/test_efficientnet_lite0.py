"""EfficientNet-Lite0: against the package that its weights were released for, and as a network of its own."""

import numpy as np
import pytest
import torch

from model.instruments.efficientnet_lite0 import EfficientNetLite0, convert
from model.training.perceptual import Perceptual
from tests.open_assets import open_file, oracle

RELEASE = "efficientnet-lite0-57934424.pth"
BLOCKS = (0, 2, 4, 10, 15)


def random_network(seed: int = 0) -> EfficientNetLite0:
    """Weights of no training, with statistics that keep numbers of order one."""
    torch.manual_seed(seed)
    net = EfficientNetLite0()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.1, 0.3)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.2)
    return net.eval()


@pytest.fixture(scope="module")
def net() -> EfficientNetLite0:
    return random_network()


def images(seed: int, count: int, height: int, width: int) -> torch.Tensor:
    return torch.rand((count, 3, height, width), generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def test_maps_and_features_have_their_sizes(net):
    maps = net.features(images(0, 2, 64, 96))
    assert [tuple(found.shape) for found in maps] == [
        (2, 16, 32, 48), (2, 24, 16, 24), (2, 40, 8, 12), (2, 112, 4, 6), (2, 320, 2, 3)
    ]  # fmt: skip
    assert net.pooled(images(0, 2, 224, 224)).shape == (2, 1280)
    assert net(images(0, 1, 224, 224)).shape == (1, 1000)


@torch.no_grad()
def test_images_do_not_depend_on_the_batch(net):
    batch = images(1, 4, 64, 48)
    alone = torch.cat([net.pooled(one[None]) for one in batch])
    torch.testing.assert_close(net.pooled(batch), alone, rtol=0, atol=1e-4 * float(alone.max()))
    assert float((alone[0] - alone[1]).abs().max()) > 0.01 * float(alone.max())
    distance = net.distance(batch[:2], batch[2:])
    each = torch.cat([net.distance(batch[i : i + 1], batch[i + 2 : i + 3]) for i in range(2)])
    torch.testing.assert_close(distance, each, rtol=1e-4, atol=0)


@torch.no_grad()
def test_the_distance_is_zero_for_equal_images_and_symmetric(net):
    a, b = images(2, 2, 64, 64), images(3, 2, 64, 64)
    torch.testing.assert_close(net.distance(a, a), torch.zeros(2))
    torch.testing.assert_close(net.distance(a, b), net.distance(b, a))
    assert (net.distance(a, b) > 0.001).all()
    with pytest.raises(ValueError, match="differ in shape"):
        net.distance(a, b[:, :, :32])


def test_small_images_have_maps_down_to_one_pixel(net):
    """As the smallest scale of a perceptual loss has them, where the release's padding leaves too little."""
    assert [maps.shape[2:] for maps in net.features(images(4, 1, 16, 32))] == [(8, 16), (4, 8), (2, 4), (1, 2), (1, 1)]
    last = net._blocks[11]._depthwise_conv  # the halving of 5x5 taps
    x = torch.randn(2, last.in_channels, 1, 1)
    torch.testing.assert_close(last(x), x * last.weight[None, :, 0, 2:3, 2:3])


@pytest.mark.parametrize("form", [True, False])
def test_a_file_of_its_state_is_read_in_both_forms(tmp_path, net, form):
    torch.save(net.state_dict(), tmp_path / "release.pth", _use_new_zipfile_serialization=form)
    state = convert(tmp_path / "release.pth")
    assert list(state) == list(net.state_dict())
    assert all(torch.equal(values, net.state_dict()[name]) for name, values in state.items())


def test_columns_first_become_rows_first(tmp_path, net):
    """As the release stores its convolutions: other files are not written of such tensors."""
    state = net.state_dict()
    state["_conv_stem.weight"] = state["_conv_stem.weight"].to(memory_format=torch.channels_last)
    torch.save(state, tmp_path / "release.pth")
    found = convert(tmp_path / "release.pth")
    assert all(values.is_contiguous() for values in found.values())
    assert torch.equal(found["_conv_stem.weight"], state["_conv_stem.weight"])


def test_other_files_are_refused_by_name(tmp_path, net):
    path = tmp_path / "file.pth"
    state = net.state_dict()
    cases = {
        "holds another network: 1 of its tensors differ, such as _fc.bias": {
            name: values for name, values in state.items() if name != "_fc.bias"
        },
        "differ, such as _conv_stem.weight": {**state, "_conv_stem.weight": torch.zeros(16, 3, 3, 3)},
        "not finite in _bn1.bias": {**state, "_bn1.bias": torch.full((1280,), float("nan"))},
        "other things than tensors": {"state": state, "epoch": 3},
        "names __builtin__.print": {"call": print},
    }
    for said, content in cases.items():
        torch.save(content, path)
        with pytest.raises(ValueError, match=said) as error:
            convert(path)
        assert str(path) in str(error.value)
    torch.save(state, path)
    for content in (path.read_bytes()[:100_000], b"<!DOCTYPE html>", b""):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="truncated, damaged or no torch file"):
            convert(path)
    with pytest.raises(FileNotFoundError, match=RELEASE):
        convert(tmp_path / "none.pth")


def reference(monkeypatch, state) -> torch.nn.Module:
    """The released package's network: the same weights, its own code."""
    package = oracle("efficientnet_lite_pytorch", monkeypatch)
    theirs = package.EfficientNet.from_name("efficientnet-lite0")
    theirs.load_state_dict(state, strict=True)
    return theirs.eval()


def reference_maps(theirs: torch.nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    """Its maps at `BLOCKS` of normalised images, block after block."""
    x = theirs._swish(theirs._bn0(theirs._conv_stem(x)))
    maps = []
    for block in theirs._blocks:
        x = block(x)
        maps.append(x)
    return [maps[number] for number in BLOCKS]


@pytest.mark.parametrize("size", [(64, 64), (96, 64), (224, 224), (250, 171)])
def test_features_and_gradients_are_the_packages(monkeypatch, size):
    state = convert(open_file(RELEASE))
    theirs = reference(monkeypatch, state)
    ours = EfficientNetLite0()
    ours.load_state_dict(state)
    ours.eval()
    img = images(4, 2, *size).requires_grad_(True)
    normalised = (img * 255 - 127) / 128
    maps, expected = ours.features(img), reference_maps(theirs, normalised)
    for found, wanted in zip(maps, expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5 * float(wanted.detach().abs().max()))
    pooled = theirs.extract_features(normalised).mean((2, 3))
    torch.testing.assert_close(ours.pooled(img), pooled, rtol=0, atol=1e-5 * float(pooled.detach().abs().max()))
    gradients = []
    for found in (maps, expected):
        loss = sum((values.abs().mean() for values in found), torch.zeros(()))
        gradients.append(torch.autograd.grad(loss, img, retain_graph=True)[0])
    torch.testing.assert_close(gradients[0], gradients[1], rtol=0, atol=1e-4 * float(gradients[1].abs().max()))
    assert gradients[0].abs().max() > 0


def test_it_is_a_backbone_of_the_perceptual_loss(monkeypatch):
    """The loss and its gradient are those of the package's maps, over two image scales."""
    state = convert(open_file(RELEASE))
    theirs = reference(monkeypatch, state)
    ours = EfficientNetLite0()
    ours.load_state_dict(state)

    class Theirs(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = theirs

        def features(self, img: torch.Tensor) -> list[torch.Tensor]:
            return reference_maps(self.net, (img * 255 - 127) / 128)

    img = images(5, 2, 64, 64).requires_grad_(True)
    target = images(6, 2, 64, 64)
    losses, gradients = [], []
    for backbone in (ours, Theirs()):
        loss = Perceptual(backbone, 5, 2)
        value = loss(img, loss.target(target))
        losses.append(value.item())
        gradients.append(torch.autograd.grad(value.sum(), img)[0].numpy())
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    np.testing.assert_allclose(gradients[0], gradients[1], rtol=0, atol=1e-4 * np.abs(gradients[1]).max())


def test_known_pictures_get_their_names():
    """The classes of pictures that everybody has: Egyptian cat and espresso."""
    data = pytest.importorskip("skimage.data")
    ours = EfficientNetLite0()
    ours.load_state_dict(convert(open_file(RELEASE)))
    for picture, number in ((data.chelsea(), 285), (data.coffee(), 967)):
        side = min(picture.shape[:2])
        top, left = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
        square = torch.from_numpy(picture[top : top + side, left : left + side].copy()).permute(2, 0, 1)[None] / 255
        small = torch.nn.functional.interpolate(square, size=(224, 224), mode="bilinear", antialias=True)
        with torch.no_grad():
            assert ours.eval()(small).argmax().item() == number
