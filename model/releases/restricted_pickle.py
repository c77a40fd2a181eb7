"""Reading arrays out of other people's pickles without running anything of them.

A pickle is a program that may call whatever it can name. Here it can name only what stands in `_allowed`: stand-ins
that carry data (model/releases/inert.py), never a library's own functions. Everything else is refused by name before
any of it is imported. Tensors' bytes are a file within the file, which `torch.load` reads with `weights_only`.
"""

import io
import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from model.releases.inert import Inert, StoredArray, StoredType, from_bytes

# What a damaged or foreign pickle makes the unpickler raise; RecursionError and MemoryError are claims of its sizes.
BROKEN = (
    pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, KeyError, TypeError, ValueError,
    OverflowError, MemoryError, RecursionError, RuntimeError, struct.error, AssertionError,
)  # fmt: skip
_CHUMPY = {
    "ch": ("Ch", "MatVecMult"),
    "reordering": ("Select", "Reshape", "transpose", "Concatenate"),
    "ch_ops": ("add", "subtract", "multiply", "divide"),
}
_NPY_HEADERS: dict[tuple[int, ...], Callable] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_SPARSE_MODULES = ("scipy.sparse.csc", "scipy.sparse._csc")


class Forbidden(pickle.UnpicklingError):
    """The pickle names something that an array file has no use for."""


class Function:
    """A stand-in that a pickle may call; it has no attributes that a pickle could set."""

    __slots__ = ()


class _EmptyArray(Function):
    __slots__ = ()

    def __call__(self, *_: Any) -> StoredArray:
        return StoredArray()  # the state that follows in the pickle brings type, shape and content


class _ArrayFromBuffer(Function):
    __slots__ = ()

    def __call__(self, buffer: Any, kind: StoredType, shape: tuple, order: Any) -> StoredArray:
        return StoredArray.of(from_bytes(buffer, kind, shape, order))


class _Scalar(Function):
    __slots__ = ()

    def __call__(self, kind: StoredType, content: bytes | str) -> Any:
        return from_bytes(content, kind, (1,), "C").item()


class _Dtype(Function):
    __slots__ = ()

    def __call__(self, code: str, *_: Any) -> StoredType:
        return StoredType(code)


class _OldInstance(Function):
    __slots__ = ()

    def __call__(self, kind: type, *_: Any) -> Inert:
        if not (isinstance(kind, type) and issubclass(kind, Inert)):
            raise pickle.UnpicklingError(f"an instance of {kind!r}")
        return kind()


class _Encode(Function):
    __slots__ = ()

    def __call__(self, text: str, encoding: str = "latin1") -> bytes:
        if encoding not in ("latin1", "latin-1"):
            raise pickle.UnpicklingError(f"bytes in encoding {encoding!r}")
        return text.encode("latin1")


class _NoBytes(Function):
    __slots__ = ()

    def __call__(self) -> bytes:
        return b""  # Python 3 writes empty bytes so for Python 2


class _Storage(Function):
    __slots__ = ()

    def __call__(self, stored: bytes) -> Any:
        stored = stored.encode("latin1") if isinstance(stored, str) else stored
        return torch.load(io.BytesIO(stored), map_location="cpu", weights_only=True)


class _Tensor(Function):
    __slots__ = ()

    def __call__(self, storage: Any, offset: int, size: tuple, stride: tuple, *_: Any) -> StoredArray:
        flat = torch.empty(0, dtype=storage.dtype).set_(storage)
        return StoredArray.of(flat.as_strided(tuple(size), tuple(stride), offset).clone().numpy())  # checks the bounds


def _allowed() -> dict[tuple[str, str], Any]:
    """What a pickle may name; classes are made anew for every file, so that none can alter another's."""

    def inert(kind: str) -> type[Inert]:
        return type("Inert", (Inert,), {"kind": kind})

    table: dict[tuple[str, str], Any] = {
        ("numpy", "ndarray"): inert("numpy.ndarray"),  # only ever an argument of _reconstruct
        ("numpy", "dtype"): _Dtype(),
        ("collections", "OrderedDict"): OrderedDict,
        ("_codecs", "encode"): _Encode(),
        ("torch._utils", "_rebuild_tensor_v2"): _Tensor(),
        ("torch._utils", "_rebuild_tensor"): _Tensor(),
        ("torch.storage", "_load_from_bytes"): _Storage(),
    }
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        table |= {(module, "_reconstruct"): _EmptyArray(), (module, "scalar"): _Scalar()}
    for module in ("numpy.core.numeric", "numpy._core.numeric"):
        table[module, "_frombuffer"] = _ArrayFromBuffer()
    for module in ("copy_reg", "copyreg"):
        table[module, "_reconstructor"] = _OldInstance()
    for module in ("__builtin__", "builtins"):
        table |= {(module, "set"): set, (module, "bytes"): _NoBytes(), (module, "object"): inert("object")}
    for module in _SPARSE_MODULES:
        table[module, "csc_matrix"] = inert("scipy.sparse.csc_matrix")
    for module, classes in _CHUMPY.items():
        table |= {(f"chumpy.{module}", name): inert(f"chumpy.{module}.{name}") for name in classes}
    return table


class _Whole:
    """A stream that never gives less than it is asked for; its position stays behind what was given."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, size: int) -> bytes:
        found = self._stream.read(size)
        if len(found) < size:
            raise EOFError("the file ends within a value")
        return found

    def readline(self) -> bytes:
        found = self._stream.readline()
        if not found.endswith(b"\n"):
            raise EOFError("the file ends within a line")
        return found


class RestrictedUnpickler(pickle._Unpickler):  # type: ignore[name-defined, misc]  # not in typeshed
    """Reads a pickle that may name arrays' stand-ins alone, and what `more` adds; Python 2's text is latin1.

    Python's own unpickler, not the one in C: that sets aside as much memory as a damaged byte claims, dozens of GB.
    """

    def __init__(self, stream: IO[bytes], more: Mapping[tuple[str, str], Any] | None = None) -> None:
        super().__init__(_Whole(stream), fix_imports=False, encoding="latin1")
        self._table = _allowed() | dict(more or {})

    def find_class(self, module: str, name: str) -> Any:
        """Give the stand-in of a name; another name is refused before anything of it is imported."""
        try:
            return self._table[module, name]
        except KeyError:
            raise Forbidden(f"{module}.{name}") from None


def is_npy(path: Path) -> bool:
    """Whether a file begins as NumPy's `.npy` files do."""
    with path.open("rb") as stream:
        return stream.read(len(np.lib.format.MAGIC_PREFIX)) == np.lib.format.MAGIC_PREFIX


def read_pickle(path: Path, expected: str) -> Any:
    """Read a pickle of arrays, or the pickled array of an `.npy` file.

    Args:
        path: the file.
        expected: what the file should be, for messages.

    Returns:
        Whatever it holds, with `Inert` and `StoredArray` in the place of libraries' objects (see `to_array`).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it names something beyond arrays (the message says what; nothing of it was run), or it is
            truncated, or no pickle at all.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}: expected {expected}")
    try:
        with path.open("rb") as stream:
            if stream.read(len(np.lib.format.MAGIC_PREFIX)) == np.lib.format.MAGIC_PREFIX:
                _NPY_HEADERS[tuple(stream.read(2))](stream)
            else:
                stream.seek(0)
            return RestrictedUnpickler(stream).load()
    except Forbidden as error:
        raise ValueError(
            f"{path} asks for {error}, which {expected} does not contain: it was refused, and nothing of it was run"
        ) from None
    except BROKEN as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ValueError(f"{path} is damaged, or not {expected} ({reason})") from None
