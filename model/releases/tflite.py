"""Networks in TensorFlow Lite's form (.tflite) without TensorFlow: weights by name, and the steps in their order.

The file is a FlatBuffer: tables whose fields lie where a small table of offsets says. The few tables that a network
without custom operators needs are walked here; every offset and length is held to the file, and nothing is run.
Weights that are stored as float16 and widened by an operator DEQUANTIZE are given as float32, under their own names.
Sources: TensorFlow's lite/schema/schema.fbs (version 3); FlatBuffers' internals.md.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_MAGIC = b"TFL3"
_TYPES = {0: "<f4", 1: "<f2", 2: "<i4", 3: "u1", 4: "<i8", 6: "?", 7: "<i2", 9: "i1", 10: "<f8"}
_KINDS = {
    0: "ADD", 2: "CONCATENATION", 3: "CONV_2D", 4: "DEPTHWISE_CONV_2D", 6: "DEQUANTIZE", 14: "LOGISTIC",
    17: "MAX_POOL_2D", 19: "RELU", 22: "RESHAPE", 34: "PAD", 54: "PRELU",
}  # fmt: skip
_MOST = {"operators": 4096, "tensors": 8192, "sides": 8, "operands": 64}  # a small network has fewer
_NAME_BYTES = 512


@dataclass(frozen=True)
class Operator:
    """One step: its kind (as the schema calls it, or `operator N`), and the names of what it reads and makes."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Graph:
    """What a .tflite file holds.

    Attributes:
        path: the file.
        inputs, outputs: name -> shape.
        constants: name -> array; float16 that the graph widens is float32 here.
        operators: in the order in which they run, without those that only widen constants.
    """

    path: Path
    inputs: dict[str, tuple[int, ...]]
    outputs: dict[str, tuple[int, ...]]
    constants: dict[str, np.ndarray]
    operators: list[Operator]

    def hold_to(self, what: str, wanted: dict[str, tuple[int, ...]]) -> None:
        """Refuse a file whose weights are not those of a network.

        Args:
            what: the network, for the message.
            wanted: shape of every constant that it is made of, as in the file; others of numbers must not be there.

        Raises:
            ValueError: the message names the file and what differs.
        """
        weights = {name: array.shape for name, array in self.constants.items() if array.dtype.kind == "f"}
        missing = [name for name in wanted if name not in weights]
        if missing:
            raise ValueError(f"{self.path} is not {what}: it lacks {_some(missing)}")
        for name, shape in wanted.items():
            if weights[name] != shape:
                raise ValueError(f"{self.path} is not {what}: {name} is {weights[name]} where {shape} belongs")
        if extra := [name for name in weights if name not in wanted]:
            raise ValueError(f"{self.path} is not {what}: it has weights of another network, {_some(extra)}")
        if broken := [name for name in wanted if not np.isfinite(self.constants[name]).all()]:
            raise ValueError(f"{self.path} has values that are not finite in {_some(broken)}")


def read_tflite(path: Path) -> Graph:
    """Read a .tflite file with one graph.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no such file, truncated, damaged, or of a form that is not read here; the message names it.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}: expected a network in TensorFlow Lite's form (.tflite)")
    data = path.read_bytes()
    if data[4:8] != _MAGIC:
        raise ValueError(f"{path} is no TensorFlow Lite file: it begins with {data[:16]!r}")
    try:
        return _graph(path, _Table.root(data))
    except _Damaged as error:
        raise ValueError(f"{path} is truncated or damaged: {error}") from None


class _Damaged(Exception):
    """Something does not lie in the file, or says what no such network says."""


class _Table:
    """A FlatBuffer table: `data` and where it begins there. Fields are known by their number in the schema."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at
        self.fields = at - _number(data, "<i", at)
        self.size = _number(data, "<H", self.fields)

    @classmethod
    def root(cls, data: bytes) -> "_Table":
        return cls(data, _number(data, "<I", 0))

    def place(self, field: int) -> int:
        """Where a field lies; 0 where it has its default."""
        entry = 4 + 2 * field
        offset = _number(self.data, "<H", self.fields + entry) if entry + 2 <= self.size else 0
        return self.at + offset if offset else 0

    def number(self, field: int, form: str) -> int:
        """A number; 0 where it is not stored."""
        place = self.place(field)
        return _number(self.data, form, place) if place else 0

    def span(self, field: int, width: int) -> tuple[int, int]:
        """Where the elements of a vector begin and how many there are, each of `width` bytes; (0, 0) without one."""
        place = self.place(field)
        if not place:
            return 0, 0
        vector = place + _number(self.data, "<I", place)
        count = _number(self.data, "<I", vector)
        if vector + 4 + count * width > len(self.data):
            raise _Damaged(f"{count} elements at byte {vector} reach beyond its {len(self.data)} bytes")
        return vector + 4, count

    def text(self, field: int) -> str:
        start, count = self.span(field, 1)
        if count > _NAME_BYTES:
            raise _Damaged(f"a name of {count} bytes")
        return self.data[start : start + count].decode(errors="replace")

    def numbers(self, field: int, most: str) -> list[int]:
        start, count = self.span(field, 4)
        if count > _MOST[most]:
            raise _Damaged(f"{count} {most}")
        return list(struct.unpack_from(f"<{count}i", self.data, start))

    def tables(self, field: int, most: str) -> "list[_Table]":
        start, count = self.span(field, 4)
        if count > _MOST[most]:
            raise _Damaged(f"{count} {most}")
        places = (start + 4 * i for i in range(count))
        return [_Table(self.data, place + _number(self.data, "<I", place)) for place in places]


def _number(data: bytes, form: str, at: int) -> int:
    if at < 0 or at + struct.calcsize(form) > len(data):
        raise _Damaged(f"byte {at} is asked for, it has {len(data)}")
    return int(struct.unpack_from(form, data, at)[0])


@dataclass(frozen=True)
class _Tensor:
    name: str
    shape: tuple[int, ...]
    kind: int
    buffer: int


def _graph(path: Path, model: _Table) -> Graph:
    if (version := model.number(0, "<I")) != 3:
        raise ValueError(f"{path} is a TensorFlow Lite file of version {version}; version 3 is read here")
    graphs, buffers = model.tables(2, "operators"), model.tables(4, "tensors")
    if len(graphs) != 1:
        raise ValueError(f"{path} holds {len(graphs)} graphs; one is read here")
    kinds = [_kind(code) for code in model.tables(1, "operators")]
    tensors = [_tensor(table) for table in graphs[0].tables(0, "tensors")]
    if len({tensor.name for tensor in tensors}) < len(tensors):
        raise _Damaged("several tensors have one name")
    constants = dict(_constants(tensors, buffers))
    operators = [_operator(table, kinds, tensors) for table in graphs[0].tables(3, "operators")]
    own_name = {}
    for operator in operators:
        if operator.kind == "DEQUANTIZE" and operator.inputs[0] in constants:
            own_name[operator.outputs[0]] = operator.inputs[0]
            constants[operator.inputs[0]] = constants[operator.inputs[0]].astype(np.float32)
    steps = [
        Operator(step.kind, tuple(own_name.get(name, name) for name in step.inputs), step.outputs)
        for step in operators
        if step.outputs[0] not in own_name
    ]
    inputs, outputs = (
        {tensor.name: tensor.shape for tensor in _picked(graphs[0].numbers(field, "operands"), tensors)}
        for field in (1, 2)
    )
    return Graph(path, inputs, outputs, constants, steps)


def _kind(code: _Table) -> str:
    """Name of an operator; its number stands in the older field where it is below 127, in the newer one else."""
    number = max(code.number(0, "<b"), code.number(3, "<i"))
    return _KINDS.get(number, f"operator {number}")


def _tensor(table: _Table) -> _Tensor:
    return _Tensor(table.text(3), tuple(table.numbers(0, "sides")), table.number(1, "<b"), table.number(2, "<I"))


def _constants(tensors: list[_Tensor], buffers: list[_Table]) -> Iterator[tuple[str, np.ndarray]]:
    """Name and array of every tensor whose buffer holds bytes; buffer 0 is empty by convention."""
    read: set[int] = set()
    for tensor in tensors:
        if tensor.buffer >= len(buffers):
            raise _Damaged(f"{tensor.name} lies in buffer {tensor.buffer} of {len(buffers)}")
        start, count = buffers[tensor.buffer].span(0, 1)
        if not count:
            continue
        if tensor.kind not in _TYPES:
            raise _Damaged(f"{tensor.name} is of type {tensor.kind}")
        if tensor.buffer in read:
            raise _Damaged(f"buffer {tensor.buffer} holds several tensors")
        read.add(tensor.buffer)
        kind = np.dtype(_TYPES[tensor.kind])
        if min(tensor.shape, default=0) < 0 or math.prod(tensor.shape) * kind.itemsize != count:
            raise _Damaged(f"{tensor.name} is {tensor.shape} of {kind.name}, but has {count} bytes")
        yield tensor.name, np.frombuffer(buffers[0].data, kind, math.prod(tensor.shape), start).reshape(tensor.shape)


def _operator(table: _Table, kinds: list[str], tensors: list[_Tensor]) -> Operator:
    number = table.number(0, "<I")
    if number >= len(kinds):
        raise _Damaged(f"an operator is of kind {number} of {len(kinds)}")
    inputs, outputs = (tuple(t.name for t in _picked(table.numbers(f, "operands"), tensors)) for f in (1, 2))
    if not inputs or not outputs:
        raise _Damaged(f"an operator {kinds[number]} reads or makes nothing")
    return Operator(kinds[number], inputs, outputs)


def _picked(numbers: list[int], tensors: list[_Tensor]) -> list[_Tensor]:
    """Tensors by number; -1 stands for an operand that is left out."""
    wrong = [number for number in numbers if not -1 <= number < len(tensors)]
    if wrong:
        raise _Damaged(f"tensor {wrong[0]} of {len(tensors)} is asked for")
    return [tensors[number] for number in numbers if number >= 0]


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
