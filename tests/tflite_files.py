"""Writes .tflite files for tests, with the library of FlatBuffers itself, and finds the released ones."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import flatbuffers
import numpy as np
import pytest

TYPES = {"float32": 0, "float16": 1, "int32": 2, "uint8": 3}
KINDS = {"CONV_2D": 3, "DEQUANTIZE": 6, "PRELU": 54}
Step = tuple[str, Sequence[str], Sequence[str]]  # kind, inputs, outputs


def write_tflite(
    path: Path,
    constants: Mapping[str, np.ndarray],
    others: Mapping[str, tuple[int, ...]] | None = None,
    steps: Sequence[Step] = (),
    ends: tuple[Sequence[str], Sequence[str]] = ((), ()),
    version: int = 3,
    graphs: int = 1,
    identifier: bytes = b"TFL3",
) -> None:
    """Write a file of constants, other float32 tensors, operators, and the graph's inputs and outputs."""
    builder = flatbuffers.Builder(1024)
    others = others or {}
    names = [*constants, *others]
    shapes = {name: array.shape for name, array in constants.items()} | dict(others)
    kinds = list(dict.fromkeys(kind for kind, _, _ in steps))
    buffers = [_table(builder, {})]
    buffers += [_table(builder, {0: builder.CreateByteVector(array.tobytes())}) for array in constants.values()]
    tensors = []
    for row, name in enumerate(names):
        dtype = constants[name].dtype.name if name in constants else "float32"
        fields = {0: _ints(builder, shapes[name]), 3: builder.CreateString(name)}
        numbers = {1: ("Int8", TYPES[dtype]), 2: ("Uint32", row + 1 if name in constants else 0)}
        tensors.append(_table(builder, fields, numbers))
    operators = []
    for kind, inputs, outputs in steps:
        fields = {1: _ints(builder, map(names.index, inputs)), 2: _ints(builder, map(names.index, outputs))}
        operators.append(_table(builder, fields, {0: ("Uint32", kinds.index(kind))}))
    codes = [_table(builder, {}, {0: ("Int8", KINDS[kind])}) for kind in kinds]
    inner = {0: _tables(builder, tensors), 3: _tables(builder, operators)}
    inner |= {field: _ints(builder, map(names.index, ends[field - 1])) for field in (1, 2)}
    subgraphs = _tables(builder, [_table(builder, inner)] * graphs)
    top = {1: _tables(builder, codes), 2: subgraphs, 4: _tables(builder, buffers)}
    builder.Finish(_table(builder, top, {0: ("Uint32", version)}), identifier)
    path.write_bytes(bytes(builder.Output()))


def released(name: str) -> Path:
    """A released .tflite below `$PWM_OPEN_ASSETS`, or skip the test with the reason."""
    folder = os.environ.get("PWM_OPEN_ASSETS", "")
    if not folder:
        pytest.skip("PWM_OPEN_ASSETS names no folder with the open instruments' files")
    path = Path(folder, name)
    if not path.is_file():
        pytest.skip(f"PWM_OPEN_ASSETS={folder} has no {name}")
    return path


def _table(builder, offsets, numbers=None):
    builder.StartObject(8)
    for field, offset in offsets.items():
        builder.PrependUOffsetTRelativeSlot(field, offset, 0)
    for field, (kind, value) in (numbers or {}).items():
        getattr(builder, f"Prepend{kind}Slot")(field, value, 0)
    return builder.EndObject()


def _ints(builder, values):
    values = list(values)
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependInt32(value)
    return builder.EndVector()


def _tables(builder, offsets):
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()
