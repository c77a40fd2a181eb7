"""What a pickle of arrays holds, as stand-ins that only carry data, and the arrays that they stand for.

NumPy's own objects are not used either: restoring one trusts the type flags that the file states. Here bytes become
numbers through `numpy.frombuffer`, of plain types and after a look at the length.
"""

import math
import re
from typing import Any, Literal

import numpy as np

_PLAIN = re.compile(r"[<>=|]?([biufc]\d{1,2}|[?OSU]\d{0,6})")


class Inert:
    """An object of a library that is not loaded: the class it claims, and the state it was stored with."""

    kind = ""

    def __setstate__(self, state: Any) -> None:
        self.state = state


class StoredType:
    """A NumPy type of numbers, text or objects.

    Raises:
        ValueError: it is another one, such as a record.
    """

    def __init__(self, code: str) -> None:
        if not isinstance(code, str) or not _PLAIN.fullmatch(code):
            raise ValueError(f"an array of type {code!r}")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple) -> None:
        """Take the byte order from the state that NumPy stores; records are refused, the rest follows from the code."""
        _, order, *fields = state
        if fields[:3] != [None, None, None]:
            raise ValueError("an array of records")
        self.dtype = self.dtype.newbyteorder(order if order in ("<", ">") else "=")


class StoredArray:
    """A NumPy array: `values`, or the list of `objects` in it."""

    values: np.ndarray | None = None
    objects: list | None = None

    @classmethod
    def of(cls, values: np.ndarray) -> "StoredArray":
        """Wrap an array that was made here."""
        stored = cls()
        stored.values = values
        return stored

    def __setstate__(self, state: tuple) -> None:
        """Take the state that NumPy stores: version, shape, type, whether columns come first, content."""
        _, shape, kind, by_columns, content = state
        if kind.dtype.hasobject:
            self.objects = list(content)
        else:
            self.values = from_bytes(content, kind, shape, "F" if by_columns else "C")


def from_bytes(content: bytes | str, kind: StoredType, shape: tuple[int, ...], order: Literal["C", "F"]) -> np.ndarray:
    """Make an array of stored bytes, which Python 2 kept as text.

    Raises:
        ValueError: there are more or fewer bytes than the shape asks for, or the values are objects.
    """
    content = content.encode("latin1") if isinstance(content, str) else content
    count = math.prod(shape)
    if kind.dtype.hasobject or len(content) != count * kind.dtype.itemsize:
        raise ValueError(f"{len(content)} bytes for an array of {shape} {kind.dtype}")
    flat = np.frombuffer(content, kind.dtype) if count else np.zeros(0, kind.dtype)
    return flat.reshape(shape, order=order).copy()


def to_array(value: Any, name: str) -> np.ndarray:
    """Turn what `read_pickle` found into an array.

    Raises:
        ValueError: it is none, or a chumpy expression that no release contains; the message has `name`.
    """
    if isinstance(value, Inert):
        state = value.state if isinstance(getattr(value, "state", None), dict) else {}
        try:
            return _evaluate(value.kind, state, name)
        except (KeyError, TypeError, IndexError, AttributeError, MemoryError, RecursionError) as error:
            raise ValueError(f"{name}: a damaged {value.kind} ({type(error).__name__}: {error})") from None
    values = value.values if isinstance(value, StoredArray) else None
    if values is not None and values.dtype.kind in "biuf":
        return values
    what = type(value).__name__ if values is None else f"an array of {values.dtype}"
    raise ValueError(f"{name} is {what}, expected an array of numbers")


def _evaluate(kind: str, state: dict, name: str) -> np.ndarray:
    if kind == "chumpy.ch.Ch":
        return to_array(state["x"], name)
    if kind == "chumpy.reordering.Select":
        picked = to_array(state["a"], name).ravel()[to_array(state["idxs"], name).ravel().astype(np.int64)]
        return picked.reshape(state["preferred_shape"]) if "preferred_shape" in state else picked
    if kind == "scipy.sparse.csc_matrix":
        return _dense(state, name)
    raise ValueError(f"{name} is a {kind}, which cannot be evaluated without chumpy")


def _dense(state: dict, name: str) -> np.ndarray:
    """Fill in a compressed-sparse-column matrix."""
    values, rows, starts = (to_array(state[key], name) for key in ("data", "indices", "indptr"))
    shape = tuple(int(n) for n in state["_shape" if "_shape" in state else "shape"])
    columns = np.repeat(np.arange(shape[1]), np.diff(starts))
    dense = np.zeros(shape, values.dtype)
    np.add.at(dense, (rows, columns), values)
    return dense
