"""TensorFlow Lite's files are read without TensorFlow: what a writer put in, and what is refused."""

import random
from pathlib import Path

import numpy as np
import pytest

from model.releases.tflite import Operator, read_tflite
from tests.tflite_files import write_tflite

WEIGHTS = np.random.default_rng(0).standard_normal((4, 3, 3, 2)).astype(np.float16)
SLOPES = np.array([[[0.1, 0.2, 0.3, 0.4]]], np.float32)
PADDING = np.array([[0, 0], [1, 2]], np.int32)


def write(path: Path, **changes) -> Path:
    settings = {
        "constants": {"conv/Kernel": WEIGHTS, "act/Alpha": SLOPES, "pad": PADDING},
        "others": {"image": (1, 8, 8, 2), "conv/Wide": WEIGHTS.shape, "conv": (1, 8, 8, 4), "act": (1, 8, 8, 4)},
        "steps": [
            ("DEQUANTIZE", ["conv/Kernel"], ["conv/Wide"]),
            ("CONV_2D", ["image", "conv/Wide"], ["conv"]),
            ("PRELU", ["conv", "act/Alpha"], ["act"]),
        ],
        "ends": (["image"], ["act"]),
    }
    write_tflite(path, **(settings | changes))
    return path


def test_weights_steps_and_ends_are_read_and_float16_is_widened(tmp_path):
    graph = read_tflite(write(tmp_path / "a.tflite"))
    assert graph.inputs == {"image": (1, 8, 8, 2)}
    assert graph.outputs == {"act": (1, 8, 8, 4)}
    assert set(graph.constants) == {"conv/Kernel", "act/Alpha", "pad"}
    assert graph.constants["conv/Kernel"].dtype == np.float32
    assert np.array_equal(graph.constants["conv/Kernel"], WEIGHTS.astype(np.float32))
    assert np.array_equal(graph.constants["act/Alpha"], SLOPES)
    assert np.array_equal(graph.constants["pad"], PADDING)
    assert graph.operators == [
        Operator("CONV_2D", ("image", "conv/Kernel"), ("conv",)),
        Operator("PRELU", ("conv", "act/Alpha"), ("act",)),
    ]


def test_a_network_is_told_by_names_and_shapes_of_its_weights(tmp_path):
    graph = read_tflite(write(tmp_path / "a.tflite"))
    wanted = {"conv/Kernel": (4, 3, 3, 2), "act/Alpha": (1, 1, 4)}
    graph.hold_to("this", wanted)
    with pytest.raises(ValueError, match=r"a\.tflite is not that: it lacks bias$"):
        graph.hold_to("that", wanted | {"bias": (4,)})
    with pytest.raises(ValueError, match=r"conv/Kernel is \(4, 3, 3, 2\) where \(4, 5, 5, 2\) belongs"):
        graph.hold_to("that", wanted | {"conv/Kernel": (4, 5, 5, 2)})
    with pytest.raises(ValueError, match="weights of another network, act/Alpha"):
        graph.hold_to("that", {"conv/Kernel": (4, 3, 3, 2)})
    path = write(tmp_path / "b.tflite", constants={"conv/Kernel": WEIGHTS * np.float16("nan"), "act/Alpha": SLOPES})
    with pytest.raises(ValueError, match=r"b\.tflite has values that are not finite in conv/Kernel"):
        read_tflite(path).hold_to("this", wanted)


def test_other_files_are_refused_by_name(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.tflite"):
        read_tflite(tmp_path / "none.tflite")
    for name, content in {"empty": b"", "page": b"<!DOCTYPE html>", "pointer": b"version https://git-lfs"}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name} is no TensorFlow Lite file"):
            read_tflite(tmp_path / name)
    for changes, message in (
        ({"version": 4}, "version 4; version 3 is read here"),
        ({"graphs": 2}, "holds 2 graphs; one is read here"),
        ({"identifier": b"ORTM"}, "is no TensorFlow Lite file"),
    ):
        with pytest.raises(ValueError, match=message):
            read_tflite(write(tmp_path / "c.tflite", **changes))


def test_a_file_that_was_cut_or_changed_is_refused_or_read_but_never_crashes(tmp_path):
    whole = write(tmp_path / "whole.tflite").read_bytes()
    damaged = tmp_path / "damaged.tflite"
    for length in range(len(whole)):
        damaged.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"damaged\.tflite"):
            read_tflite(damaged)
    draw, said = random.Random(0), []
    for _ in range(2000):
        changed = bytearray(whole)
        for _ in range(draw.randint(1, 4)):
            changed[draw.randrange(len(changed))] = draw.randrange(256)
        damaged.write_bytes(changed)
        try:
            read_tflite(damaged)
        except ValueError as error:
            said.append(str(error))
    assert len(said) > 100
    assert all("damaged.tflite" in message for message in said)
