"""dlib's stream: read to the byte, and refused by name where it is something else."""

import numpy as np
import pytest

from model.instruments.dlib_resnet import convert
from model.releases.dlib_dat import read_dat
from tests.dlib_files import (
    detector_bytes,
    integer,
    layer,
    predictor_bytes,
    random_numbers,
    resnet_bytes,
    text,
)
from tests.open_assets import open_file

EXPECTED = "the face network"


@pytest.fixture(scope="module")
def numbers():
    return random_numbers()


@pytest.fixture(scope="module")
def content(numbers):
    return resnet_bytes(numbers)


def refusal(tmp_path, content: bytes, read=lambda path: read_dat(path, EXPECTED)) -> str:
    path = tmp_path / "file.dat"
    path.write_bytes(content)
    with pytest.raises(ValueError) as error:
        read(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_layers_come_in_order_with_their_numbers(tmp_path, content, numbers):
    (tmp_path / "file.dat").write_bytes(content)
    network = read_dat(tmp_path / "file.dat", EXPECTED)
    assert network.size_hw == (150, 150)
    np.testing.assert_allclose(network.mean_rgb, (122.782, 117.001, 104.298), rtol=1e-6)
    stem, affine = network.layers[:2]
    assert (stem.name, stem.numbers[:7]) == ("con_4", (32, 7, 7, 2, 2, 0, 0))
    np.testing.assert_array_equal(stem.tensor[:-32].view(32, 3, 7, 7), numbers["stem.kernel"])
    np.testing.assert_array_equal(affine.tensor[32:], numbers["stem.shift"])
    last = network.layers[-1]
    assert (last.name, last.numbers[:2]) == ("fc_2", (128, 256))
    np.testing.assert_array_equal(last.tensor.view(256, 128), numbers["descriptor"])


@pytest.mark.parametrize("share", [0.00001, 0.0001, 0.3, 0.99])
def test_a_cut_file_is_truncated(tmp_path, content, share):
    assert "is truncated" in refusal(tmp_path, content[: int(len(content) * share)])


def test_a_file_cut_between_two_layers_is_truncated(tmp_path, content):
    cut = content.rindex(text("fc_2"))
    assert "has 107 layers, not 108: truncated" in refusal(tmp_path, content[:cut], convert)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf\n<!DOCTYPE html><html>", "is a web page"),
        (b"BZh91AY", "is a bzip2 archive: unpack it"),
        (b"PK\x03\x04 a wheel", "is a zip archive or wheel: unpack it"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a git-lfs pointer"),
        (b"just a text", "no network of dlib"),
        (b"\x80\x02}q\x00.", "no network of dlib"),
        (b"\x01\x01\x08\xff\xff\xff\xff\xff\xff\xff\x7f", "no network of dlib"),
        (predictor_bytes(68), "is dlib's predictor of 68 landmarks"),
        (predictor_bytes(5), "is dlib's predictor of 5 landmarks"),
        (detector_bytes(), "is another network of dlib, trained by loss_mmod_"),
    ],
)
def test_something_else_is_named(tmp_path, content, what):
    assert what in refusal(tmp_path, content)


def test_another_network_is_named_by_what_differs(tmp_path, content):
    at = content.index(text("affine_"))
    other = content[:at] + layer("bn_con2", (), np.ones(64), (), 0) + content[at:]
    assert "has a layer bn_con2" in refusal(tmp_path, other)
    strided = bytearray(content)
    numbers = b"".join(map(integer, (32, 7, 7, 2, 2)))
    place = content.index(numbers)
    strided[place : place + len(numbers)] = b"".join(map(integer, (32, 7, 7, 1, 1)))
    said = refusal(tmp_path, bytes(strided), convert)
    assert "its layer 1 is con_4 (32, 7, 7, 1, 1, 0, 0) with 4736 numbers, not con_4 (32, 7, 7, 2, 2, 0, 0)" in said


def test_numbers_that_are_not_finite_are_refused(tmp_path, content, numbers):
    at = content.index(numbers["stem.kernel"].tobytes())
    broken = content[:at] + np.float32("nan").tobytes() + content[at + 4 :]
    assert "holds values that are not finite" in refusal(tmp_path, broken)


def test_sizes_that_lie_are_refused_before_memory_is_taken(tmp_path, content):
    sides = b"".join(map(integer, (2, 4736, 1, 1, 1)))
    at = content.index(sides)
    huge = b"".join(map(integer, (2, 2**40, 2**20, 1, 1)))
    assert "no tensor ends" in refusal(tmp_path, content[:at] + huge + content[at + len(sides) :])
    large = b"".join(map(integer, (2, 10**7, 9, 1, 1)))
    assert "is truncated" in refusal(tmp_path, content[:at] + large + content[at + len(sides) :])


def test_no_byte_of_the_beginning_makes_it_end_in_another_error(tmp_path, content):
    rng = np.random.default_rng(0)
    path = tmp_path / "file.dat"
    start, rest = content[:400], content[400:40_000]
    for place in range(0, 400, 7):
        changed = bytearray(start)
        changed[place] = rng.integers(256)
        path.write_bytes(bytes(changed) + rest)
        with pytest.raises(ValueError, match="file.dat"):
            read_dat(path, EXPECTED)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.dat: expected the face network"):
        read_dat(tmp_path / "none.dat", EXPECTED)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("shape_predictor_68_face_landmarks.dat", "is dlib's predictor of 68 landmarks"),
        ("shape_predictor_5_face_landmarks.dat", "is dlib's predictor of 5 landmarks"),
        ("mmod_human_face_detector.dat", "is another network of dlib, trained by loss_mmod_"),
    ],
)
def test_the_releases_beside_it_are_named(name, what):
    with pytest.raises(ValueError, match=what):
        read_dat(open_file(name), EXPECTED)
