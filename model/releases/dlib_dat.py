"""Networks of dlib's `.dat` files: layers and their tensors, read by the stream's own rules; nothing in it is run.

Such a file does not describe itself: it is integers of stated length, floating point numbers as a mantissa and an
exponent, texts, and tensors of little-endian float32, one behind the other, and what comes next follows from the layer
whose name was read last. This reader knows the layers of the face recognition network and refuses others by name.
Source: dlib/serialize.h, dlib/float_details.h, dlib/dnn/{core,layers,loss,input,tensor}.h of davisking/dlib.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

_TENSOR_VERSION = 2
_MOST_NUMBERS = 10**8  # of one tensor; dlib's largest network here has 2.4 million in one
_LONGEST_NAME = 64
_STATES = 3  # tensors behind each layer: gradients and the last output, empty in a release
# How many integers stand before and behind a layer's tensor, and how many floating point numbers after them.
_FIELDS = {
    "con_4": (0, 17, 4),  # filters, kernel, stride, padding; how its tensor parts into filters and biases; rates
    "affine_": (0, 11, 0),  # how its tensor parts into factors and shifts; whether it follows a convolution
    "fc_2": (2, 11, 4),  # outputs, inputs; how its tensor parts; whether there is a bias; rates
}
_PLAIN = {"relu_": 0, "add_prev_": 0, "max_pool_2": 6, "avg_pool_2": 6}  # integers of layers without a tensor
_INPUT = "input_rgb_image_sized"
_LOSS = "loss_metric_2"
_OTHERS = ((b"<", "a web page"), (b"BZh", "a bzip2 archive: unpack it"), (b"PK", "a zip archive or wheel: unpack it"),
           (b"\x1f\x8b", "a gzip archive: unpack it"), (b"version https://git-lfs", "a git-lfs pointer"))  # fmt: skip


@dataclass(frozen=True)
class DlibLayer:
    """A layer of a file.

    Attributes:
        name: as the file calls it, such as `con_4`.
        numbers: its integers in the file's order, such as filters, kernel, stride and padding of a convolution.
        tensor: its parameters, flat, float32; None for a layer that has none.
    """

    name: str
    numbers: tuple[int, ...]
    tensor: Tensor | None


@dataclass(frozen=True)
class DlibNetwork:
    """A network of a file.

    Attributes:
        mean_rgb: what is taken from the red, green and blue of an image in 0-255.
        size_hw: height and width of the images that it takes.
        layers: from the image to the output.
    """

    mean_rgb: tuple[float, float, float]
    size_hw: tuple[int, int]
    layers: tuple[DlibLayer, ...]


class _Strange(ValueError):
    """What stands in the stream does not belong there."""


class _Stream:
    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 0

    def take(self, count: int) -> bytes:
        if self.at + count > len(self.content):
            raise EOFError
        self.at += count
        return self.content[self.at - count : self.at]

    def integer(self) -> int:
        """An integer: a byte with its sign and its length, then its bytes, the lowest first."""
        control = self.take(1)[0]
        length = control & 0x0F
        if control & 0x70 or not 1 <= length <= 8:
            raise _Strange(f"byte {self.at - 1} begins no integer")
        value = int.from_bytes(self.take(length), "little")
        return -value if control & 0x80 else value

    def integers(self, count: int) -> tuple[int, ...]:
        return tuple(self.integer() for _ in range(count))

    def real(self) -> float:
        mantissa, exponent = self.integers(2)
        if not (abs(exponent) < 2000 and abs(mantissa) < 2**63):
            raise _Strange(f"a number that is not finite ends at byte {self.at}")
        return math.ldexp(mantissa, exponent)

    def flag(self) -> bool:
        found = self.take(1)
        if found not in (b"0", b"1"):
            raise _Strange(f"byte {self.at - 1} is no yes or no")
        return found == b"1"

    def text(self) -> str:
        length = self.integer()
        if not 1 <= length <= _LONGEST_NAME:
            raise _Strange(f"a name of {length} letters ends at byte {self.at}")
        letters = self.take(length)
        if not all(letter == 0x5F or chr(letter).isalnum() and letter < 0x80 for letter in letters):
            raise _Strange(f"byte {self.at - length} begins no name")
        return letters.decode("ascii")

    def tensor(self) -> Tensor:
        version, *sides = self.integers(5)
        count = math.prod(sides)
        if version != _TENSOR_VERSION or min(sides) < 0 or count > _MOST_NUMBERS:
            raise _Strange(f"no tensor ends at byte {self.at}")
        values = np.frombuffer(self.take(4 * count), "<f4").astype(np.float32)
        if not np.isfinite(values).all():
            raise ValueError("holds values that are not finite")
        return torch.from_numpy(values)


def read_dat(path: Path, expected: str) -> DlibNetwork:
    """Read a network of dlib's face recognition kind: metric loss, images of one size.

    Args:
        path: the file.
        expected: what it should be, for messages.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is truncated, something else, or another file of dlib; the message names it and says what it is.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}: expected {expected}")
    stream = _Stream(path.read_bytes())
    if what := _something_else(stream.content):
        raise ValueError(f"{path} is {what}; expected {expected}")
    try:
        return _read(stream)
    except EOFError:
        size = len(stream.content)
        raise ValueError(f"{path} is truncated: it ends at byte {size}; expected {expected}") from None
    except _Strange as error:
        raise ValueError(f"{path} is damaged, or no network of dlib ({error}); expected {expected}") from None
    except ValueError as error:
        raise ValueError(f"{path} {error}; expected {expected}") from None


def _read(stream: _Stream) -> DlibNetwork:
    stream.integer()  # version of the loss layer
    if (loss := stream.text()) != _LOSS:
        raise ValueError(f"is another network of dlib, trained by {loss}")
    stream.real(), stream.real()  # margin and distance of its training
    _skip_versions(stream)
    if (taken := stream.text()) != _INPUT:
        raise ValueError(f"is another network of dlib, whose input is {taken}")
    mean_rgb = (stream.real(), stream.real(), stream.real())
    height, width = stream.integers(2)
    layers = []
    while stream.at < len(stream.content):
        layers.append(_layer(stream))
        if len(layers) == 1:
            stream.integer()  # samples that the input made of one, which the first layer keeps
    return DlibNetwork(mean_rgb, (height, width), tuple(layers))


def _layer(stream: _Stream) -> DlibLayer:
    name = stream.text()
    if name in _PLAIN:
        numbers, tensor = stream.integers(_PLAIN[name]), None
    elif name in _FIELDS:
        before, behind, rates = _FIELDS[name]
        numbers = stream.integers(before)
        tensor = stream.tensor()
        numbers += stream.integers(behind)
        for _ in range(rates):
            stream.real()
    else:
        raise ValueError(f"is another network of dlib: it has a layer {name}")
    for _ in range(_STATES):
        stream.flag()
    for _ in range(_STATES):
        stream.tensor()
    return DlibLayer(name, numbers, tensor)


def _skip_versions(stream: _Stream) -> None:
    """Pass over the versions of the layers, which stand outermost first, before the input's name."""
    while stream.content[stream.at : stream.at + 2] in (b"\x01\x01", b"\x01\x02", b"\x01\x03"):
        stream.integer()


def _something_else(content: bytes) -> str:
    """What a file is that begins as no network does; empty where it may be one."""
    if not content:
        return "empty"
    start = content.removeprefix(b"\xef\xbb\xbf").lstrip()
    for begins, what in _OTHERS:
        if start.startswith(begins):
            return what
    stream = _Stream(content)
    try:  # a predictor of landmarks begins with a version and its mean shape: twice as many negated rows as points
        version, rows, columns = stream.integers(3)
    except (EOFError, _Strange):
        return ""
    if version == 1 and rows < 0 and rows % 2 == 0 and columns == -1:
        return f"dlib's predictor of {-rows // 2} landmarks"
    return ""
