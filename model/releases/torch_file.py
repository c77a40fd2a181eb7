"""Tensors of files that `torch.save` wrote, from torch 0.2 (Python 2) on; nothing in them is run.

Both forms are read: the archive of torch 1.6 and later, and the older stream of pickles with the numbers behind them.
A file of training holds optimisers that are larger than the networks: here every tensor is a stand-in that knows where
its numbers lie, and they are read when asked for. What the pickle may name is what model/releases/restricted_pickle.py
allows, and the few names of tensors below; anything else is refused by name before any of it is imported.
"""

import io
import pickle
import struct
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import torch
from torch import Tensor

from model.releases.restricted_pickle import BROKEN, Forbidden, Function, RestrictedUnpickler

_MAGIC = 0x1950A86A20F9469CFC6C  # torch's, of the older form
_PROTOCOL = 1001
_COUNT_BYTES = 8  # before each storage of the older form: how many numbers it has
_TYPES = {
    "Float": torch.float32, "Double": torch.float64, "Half": torch.float16, "BFloat16": torch.bfloat16,
    "Long": torch.int64, "Int": torch.int32, "Short": torch.int16, "Char": torch.int8, "Byte": torch.uint8,
    "Bool": torch.bool,
}  # fmt: skip
_TAR_MAGIC = slice(257, 262)  # where an archive of tar says "ustar"
_SHOWN = 3


@dataclass
class _Storage:
    """A piece of numbers in the file: `at` is its place there, or the archive's entry that is it.

    One that torch 0.2 kept as part of another lies `first` numbers into its `whole`.
    """

    key: str
    dtype: torch.dtype
    count: int
    at: int | str | None = None
    whole: "_Storage | None" = None
    first: int = 0


@dataclass(frozen=True)
class StoredTensor:
    """A tensor that has not been read.

    Attributes:
        shape: its sides.
        dtype: its type.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    _stride: tuple[int, ...] = field(repr=False)
    _offset: int = field(repr=False)
    _storage: _Storage = field(repr=False)
    _file: "TorchFile" = field(repr=False)

    def read(self) -> Tensor:
        """Read it; tensors that repeat the same numbers stay views of them.

        Raises:
            ValueError: the file is damaged there, or the tensor claims numbers that its storage has not.
        """
        flat = self._file.numbers(self._storage)
        reach = sum((side - 1) * step for side, step in zip(self.shape, self._stride, strict=True))
        if 0 in self.shape:
            return flat[:0].reshape(self.shape)
        if self._offset + reach >= len(flat):
            raise ValueError(f"{self._file.path} is damaged: a tensor claims more numbers than are stored for it")
        return flat.as_strided(self.shape, self._stride, self._offset)


class _Tensor(Function):
    __slots__ = ("_file",)

    def __init__(self, file: "TorchFile") -> None:
        self._file = file

    def __call__(self, storage: Any, offset: int, size: tuple, stride: tuple, *_: Any) -> StoredTensor:
        sides, steps = tuple(size), tuple(stride)
        plain = all(type(number) is int and number >= 0 for number in (offset, *sides, *steps))
        if not (isinstance(storage, _Storage) and plain and len(sides) == len(steps)):
            raise pickle.UnpicklingError("a tensor of no storage, or of strange sides")
        return StoredTensor(sides, storage.dtype, steps, offset, storage, self._file)


class _Parameter(Function):
    __slots__ = ()

    def __call__(self, tensor: Any, *_: Any) -> Any:
        return tensor


class _Counts(Function):
    """In the place of `collections.Counter` and `defaultdict`, which schedulers and optimisers hold."""

    __slots__ = ()

    def __call__(self, *given: Any) -> dict:
        return dict(given[-1]) if given and isinstance(given[-1], Mapping) else {}


class _Sides(Function):
    __slots__ = ()

    def __call__(self, sides: Any = ()) -> tuple:
        return tuple(sides)


class _StorageKind(Function):
    __slots__ = ("dtype",)

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype


class _Unpickler(RestrictedUnpickler):
    def __init__(self, stream: IO[bytes], file: "TorchFile") -> None:
        tensor = _Tensor(file)
        names: dict[tuple[str, str], Any] = {
            ("torch._utils", "_rebuild_tensor"): tensor,
            ("torch._utils", "_rebuild_tensor_v2"): tensor,
            ("torch._utils", "_rebuild_parameter"): _Parameter(),
            ("torch", "Size"): _Sides(),
            ("collections", "OrderedDict"): OrderedDict,
            ("collections", "Counter"): _Counts(),
            ("collections", "defaultdict"): _Counts(),
        }
        for module in ("__builtin__", "builtins"):
            names[module, "dict"] = _Counts()  # what an optimiser's defaultdict makes of a missing key
        for module in ("torch", "torch.cuda"):
            names |= {(module, f"{kind}Storage"): _StorageKind(dtype) for kind, dtype in _TYPES.items()}
        super().__init__(stream, names)
        self.storages: dict[str, _Storage] = {}

    def persistent_load(self, identity: Any) -> Any:
        """Give the stand-in of a storage; what else torch keeps outside of a pickle is code of a network."""
        if not (isinstance(identity, tuple) and identity and identity[0] == "storage" and len(identity) in (5, 6)):
            what = identity[0] if isinstance(identity, tuple) and identity else identity
            raise Forbidden(f"an object of torch of kind {what!r}")
        _, kind, key, _, count, *view = identity
        if not (isinstance(kind, _StorageKind) and isinstance(key, str) and type(count) is int and count >= 0):
            raise pickle.UnpicklingError("a storage of another kind")
        found = self.storages.setdefault(key, _Storage(key, kind.dtype, count))
        if (found.dtype, found.count) != (kind.dtype, count):
            raise pickle.UnpicklingError(f"storage {key} in two types or sizes")
        if not view or view[0] is None:
            return found
        _, first, own = view[0]
        if not (type(first) is int and type(own) is int and 0 <= first <= first + own <= count):
            raise pickle.UnpicklingError(f"a part of storage {key} that reaches beyond it")
        return _Storage(key, kind.dtype, own, whole=found, first=first)


class TorchFile:
    """A file of `torch.save`, open; `content` is what it holds, with `StoredTensor` in the place of tensors.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is truncated, damaged, no file of torch, or names more than tensors and plain values.
    """

    def __init__(self, path: Path, expected: str) -> None:
        self.path = path
        if not path.is_file():
            raise FileNotFoundError(f"no file {path}: expected {expected}")
        self._stream = path.open("rb")
        self._archive: zipfile.ZipFile | None = None
        try:
            start = self._stream.read(_TAR_MAGIC.stop)
            self._stream.seek(0)
            if start[_TAR_MAGIC] == b"ustar":
                raise ValueError(f"{path} is a tar archive, expected {expected}: what torch 0.1 wrote so is not read")
            self.content = self._read_archive() if start.startswith(b"PK") else self._read_stream()
        except Forbidden as error:
            self.close()
            raise ValueError(
                f"{path} holds more than tensors: it names {error}, and nothing in a file is run"
            ) from None
        except (*BROKEN, zipfile.BadZipFile) as error:
            self.close()
            if type(error) is ValueError and str(path) in str(error):
                raise
            reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            raise ValueError(f"{path} is truncated, damaged or no torch file ({reason})") from None

    def __enter__(self) -> "TorchFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file: tensors that were not read can be read no more."""
        if self._archive is not None:
            self._archive.close()
        self._stream.close()

    def numbers(self, storage: _Storage) -> Tensor:
        """The numbers of one storage, as a flat tensor of its own."""
        if storage.whole is not None:
            return self.numbers(storage.whole)[storage.first : storage.first + storage.count].clone()
        size = storage.count * storage.dtype.itemsize
        if isinstance(storage.at, str) and self._archive is not None:
            try:
                content = self._archive.read(storage.at)  # holds it to the archive's checksum
            except (zipfile.BadZipFile, EOFError, OSError) as error:
                raise ValueError(f"{self.path} is damaged: {error}") from None
        else:
            self._stream.seek(int(storage.at or 0))
            content = self._stream.read(size)
        if len(content) != size:
            raise ValueError(f"{self.path} is damaged: storage {storage.key} has {len(content)} of {size} bytes")
        return (
            torch.frombuffer(bytearray(content), dtype=storage.dtype) if size else torch.empty(0, dtype=storage.dtype)
        )

    def _read_archive(self) -> Any:
        self._archive = archive = zipfile.ZipFile(self._stream)
        entries = {entry.filename: entry for entry in archive.infolist()}
        root = next((name.removesuffix("data.pkl") for name in entries if name.endswith("/data.pkl")), None)
        if root is None:
            listed = ", ".join(list(entries)[:_SHOWN])
            raise ValueError(f"{self.path} is an archive of other files ({listed}): unpack it")
        if f"{root}constants.pkl" in entries:
            raise ValueError(f"{self.path} is a TorchScript program, and nothing in a file is run")
        order = archive.read(f"{root}byteorder") if f"{root}byteorder" in entries else b"little"
        if order != b"little" or sys.byteorder != "little":
            raise ValueError(f"{self.path} holds numbers in {order.decode('latin1')}-endian order, which is not read")
        unpickler = _Unpickler(io.BytesIO(archive.read(f"{root}data.pkl")), self)
        content = unpickler.load()
        for storage in unpickler.storages.values():
            storage.at = f"{root}data/{storage.key}"
            entry = entries.get(storage.at)
            if entry is None or entry.file_size != storage.count * storage.dtype.itemsize:
                raise ValueError(f"{self.path} is damaged: {storage.at} is missing or of another size")
        return content

    def _read_stream(self) -> Any:
        stream = self._stream
        magic, protocol, system = (RestrictedUnpickler(stream).load() for _ in range(3))
        if magic != _MAGIC or protocol != _PROTOCOL:
            raise pickle.UnpicklingError("it begins as no file of torch does")
        if not (isinstance(system, dict) and system.get("little_endian", True)) or sys.byteorder != "little":
            raise ValueError(f"{self.path} holds numbers in big-endian order, which is not read")
        unpickler = _Unpickler(stream, self)
        content = unpickler.load()
        order = RestrictedUnpickler(stream).load()
        size, at = self.path.stat().st_size, stream.tell()
        if not isinstance(order, list) or sorted(map(str, order)) != sorted(unpickler.storages):
            raise pickle.UnpicklingError("its list of storages is not that of its tensors")
        for key in order:
            storage = unpickler.storages[key]
            stream.seek(at)
            head = stream.read(_COUNT_BYTES)
            if len(head) < _COUNT_BYTES:
                raise ValueError(f"{self.path} is truncated: it ends at byte {size}, before storage {key}")
            if struct.unpack("<q", head)[0] != storage.count:
                raise ValueError(f"{self.path} is damaged: storage {key} has another size than its tensors say")
            storage.at = at + _COUNT_BYTES
            at = storage.at + storage.count * storage.dtype.itemsize
        if at > size:
            raise ValueError(f"{self.path} is truncated: it ends at byte {size}, and its numbers at {at}")
        return content
