"""Files in dlib's form with random numbers: its face recognition network, and what else one may take for it."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

STAGES = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))
MEAN_RGB = (122.782, 117.001, 104.298)
STATES = b"110" + 3 * bytes.fromhex("0102 0100 0100 0100 0100")  # flags and empty tensors behind each layer


def integer(value: int) -> bytes:
    """An integer of dlib's stream."""
    length = max(1, (abs(value).bit_length() + 7) // 8)
    return bytes([length | (0x80 if value < 0 else 0)]) + abs(value).to_bytes(length, "little")


def real(value: float) -> bytes:
    """A floating point number of dlib's stream."""
    fraction, exponent = math.frexp(value)
    return integer(int(fraction * 2**24)) + integer(exponent - 24)


def text(value: str) -> bytes:
    """A text of dlib's stream."""
    return integer(len(value)) + value.encode()


def tensor(values: np.ndarray) -> bytes:
    """A flat tensor of dlib's stream."""
    sides = b"".join(map(integer, (2, values.size, 1, 1, 1)))
    return sides + values.astype("<f4").tobytes()


def layer(name: str, before: tuple[int, ...], values: np.ndarray | None, behind: tuple[int, ...], rates: int) -> bytes:
    """One layer and the states behind it."""
    parts = [text(name), *map(integer, before)]
    parts += [tensor(values)] if values is not None else []
    return b"".join([*parts, *map(integer, behind), *[real(1.0)] * rates, STATES])


def random_numbers(seed: int = 0) -> dict[str, np.ndarray]:
    """Numbers of all layers by name, such that descriptors have a length near 1."""
    rng = np.random.default_rng(seed)
    numbers: dict[str, np.ndarray] = {}

    def convolution(name: str, inputs: int, outputs: int, side: int) -> None:
        spread = math.sqrt(2 / (inputs * side * side))
        numbers[f"{name}.kernel"] = rng.normal(0, spread, (outputs, inputs, side, side)).astype(np.float32)
        numbers[f"{name}.bias"] = rng.normal(0, 0.1, outputs).astype(np.float32)
        numbers[f"{name}.factor"] = rng.uniform(0.4, 0.8, outputs).astype(np.float32)
        numbers[f"{name}.shift"] = rng.normal(0, 0.1, outputs).astype(np.float32)

    convolution("stem", 3, 32, 7)
    inputs, block = 32, 0
    for width, count, _ in STAGES:
        for _ in range(count):
            convolution(f"{block}.first", inputs, width, 3)
            convolution(f"{block}.second", width, width, 3)
            inputs, block = width, block + 1
    numbers["descriptor"] = rng.normal(0, 0.05, (256, 128)).astype(np.float32)
    return numbers


def resnet_bytes(numbers: Mapping[str, np.ndarray]) -> bytes:
    """The network's file."""

    def convolution(name: str, stride: int, padding: int) -> bytes:
        kernel = numbers[f"{name}.kernel"]
        filters, inputs, side, _ = kernel.shape
        behind = (filters, side, side, stride, stride, padding, padding, 1, *kernel.shape, 1, 1, filters, 1, 1)
        values = np.concatenate([kernel.ravel(), numbers[f"{name}.bias"]])
        scaled = np.concatenate([numbers[f"{name}.factor"], numbers[f"{name}.shift"]])
        return layer("con_4", (), values, behind, 4) + layer(
            "affine_", (), scaled, (1, 1, filters, 1, 1, 1, 1, filters, 1, 1, 0), 0
        )

    def plain(name: str, *fields: int) -> bytes:
        return layer(name, fields, None, (), 0)

    head = integer(1) + text("loss_metric_2") + real(0.04) + real(0.6) + integer(1) + 9 * integer(2) + integer(3)
    head += text("input_rgb_image_sized") + b"".join(map(real, MEAN_RGB)) + 2 * integer(150)
    stem = convolution("stem", 2, 0)
    split = stem.index(STATES) + len(STATES)  # the first layer keeps how many samples the input makes of one
    parts = [head, stem[:split], integer(1), stem[split:], plain("relu_"), plain("max_pool_2", 3, 3, 2, 2, 0, 0)]
    block = 0
    for _, count, halves in STAGES:
        for number in range(count):
            down = halves and number == 0
            parts += [convolution(f"{block}.first", 2 if down else 1, 0 if down else 1), plain("relu_")]
            parts += [convolution(f"{block}.second", 1, 1)]
            parts += [plain("avg_pool_2", 2, 2, 2, 2, 0, 0)] if down else []
            parts += [plain("add_prev_"), plain("relu_")]
            block += 1
    parts += [plain("avg_pool_2", 0, 0, 1, 1, 0, 0)]
    weights = numbers["descriptor"]
    parts += [layer("fc_2", (128, 256), weights, (1, 256, 128, 1, 1, 1, 0, 0, 0, 0, 1), 4)]
    return b"".join(parts)


def write_resnet(path: Path, seed: int = 0) -> Path:
    """Write the network's file with random numbers."""
    path.write_bytes(resnet_bytes(random_numbers(seed)))
    return path


def predictor_bytes(points: int) -> bytes:
    """The beginning of a file of dlib's landmark predictor: a version, and a column of its mean shape."""
    return integer(1) + integer(-2 * points) + integer(-1) + b"".join(real(0.1 + n) for n in range(2 * points))


def detector_bytes() -> bytes:
    """The beginning of a file of dlib's face detector."""
    return integer(1) + text("loss_mmod_") + 40 * integer(2)
