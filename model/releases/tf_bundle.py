"""Arrays of a TensorFlow checkpoint (format 2, "tensor bundle") without TensorFlow.

`NAME.index` is a table of LevelDB (sorted blocks of keys with shared beginnings) whose values are protocol-buffer
messages: for each variable its type, shape and place in a `NAME.data-0000i-of-0000n`, which holds plain numbers. Both
carry CRC-32C checksums, and all that is used is checked. Nothing is run: object graphs and other text are not read.
Sources: TensorFlow's tensor_bundle.proto and tensor_bundle.h; LevelDB's doc/table_format.md.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.releases.crc32c import crc32c, unmasked

_MAGIC = 0xDB4775248B80FB57
_FOOTER = 48
_TRAILER = 5  # of a block: how it is compressed, and its checksum
_COMPRESSIONS = {1: "snappy", 2: "zstd"}
_TYPES = {
    1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 7: "string", 9: "int64", 10: "bool",
    14: "bfloat16", 17: "uint16", 19: "float16", 22: "uint32", 23: "uint64",
}  # fmt: skip
_UNREADABLE = ("string", "bfloat16")  # text is no weight; NumPy has no bfloat16
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types of protocol buffers
_VARINT_BYTES = 10


@dataclass(frozen=True)
class Stored:
    """Where one variable lies.

    Attributes:
        dtype: its type, by NumPy's name, or `type N` for one that no checkpoint of networks has.
        shape: its sides.
        shard: number of its data file.
        offset: of its first byte there.
        size: bytes.
        checksum: CRC-32C of these bytes.
        in_slices: whether it is spread over several entries.
    """

    dtype: str
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    checksum: int
    in_slices: bool


class TfBundle:
    """A checkpoint `NAME.index` with its data files; `stored` says by name what it holds.

    Raises:
        FileNotFoundError: there is no such index, or a data file is missing.
        ValueError: it is no such file, damaged, compressed or of another byte order; the message names the file.
    """

    def __init__(self, index: Path) -> None:
        self.index = index
        if not index.is_file():
            raise FileNotFoundError(f"no file {index}: expected the .index of a TensorFlow checkpoint")
        entries = _entries(index)
        shards = _header(index, entries.pop("", b""))
        stem = index.name.removesuffix(".index")
        self.data = [index.with_name(f"{stem}.data-{shard:05d}-of-{shards:05d}") for shard in range(shards)]
        for file in self.data:
            if not file.is_file():
                raise FileNotFoundError(f"no file {file}, where {index} says that its numbers are")
        self.stored = {name: _stored(index, name, value) for name, value in entries.items()}

    def read(self, name: str) -> np.ndarray:
        """The array of one variable.

        Raises:
            KeyError: there is none of this name.
            ValueError: its type cannot be read, it is in slices, its file is truncated or its checksum wrong.
        """
        entry = self.stored[name]
        if entry.dtype in _UNREADABLE or entry.dtype.startswith("type ") or entry.in_slices:
            how = "slices of several entries" if entry.in_slices else f"{entry.dtype}, which is not read here"
            raise ValueError(f"{self.index} stores {name} as {how}")
        kind = np.dtype(entry.dtype).newbyteorder("<")
        if entry.size != math.prod(entry.shape) * kind.itemsize:
            raise ValueError(f"{self.index} gives {name} {entry.size} bytes for {entry.shape} {entry.dtype}")
        if entry.shard >= len(self.data):
            raise ValueError(f"{self.index} puts {name} into data file {entry.shard} of {len(self.data)}")
        file = self.data[entry.shard]
        if entry.offset + entry.size > file.stat().st_size:
            raise ValueError(f"{file} is truncated: {name} ends at byte {entry.offset + entry.size}")
        with file.open("rb") as stream:
            stream.seek(entry.offset)
            content = stream.read(entry.size)
        if crc32c(content) != entry.checksum:
            raise ValueError(f"{file} is damaged: the checksum of {name} is wrong")
        return np.frombuffer(content, kind).reshape(entry.shape).astype(entry.dtype, copy=True)


def _entries(index: Path) -> dict[str, bytes]:
    """Keys and values of a LevelDB table."""
    content = index.read_bytes()
    footer = content[-_FOOTER:]
    if len(footer) < _FOOTER or struct.unpack("<Q", footer[-8:])[0] != _MAGIC:
        raise ValueError(f"{index} is truncated, or no index of a TensorFlow checkpoint (its last bytes are others)")
    try:
        _, _, at = _handle(footer, 0)  # of blocks about blocks, of which a checkpoint has none
        start, size, _ = _handle(footer, at)
        found = {}
        for _, handle in _pairs(_block(index, content, start, size)):
            for key, value in _pairs(_block(index, content, *_handle(handle, 0)[:2])):
                found[key.decode("utf-8")] = value
    except (IndexError, struct.error, UnicodeDecodeError, OverflowError) as error:
        raise ValueError(f"{index} is damaged ({type(error).__name__}: {error})") from None
    return found


def _block(index: Path, content: bytes, start: int, size: int) -> bytes:
    end = start + size
    if end + _TRAILER > len(content):
        raise ValueError(f"{index} is damaged: it names bytes {start} to {end + _TRAILER} of {len(content)}")
    compression = content[end]
    if compression:
        how = _COMPRESSIONS.get(compression, f"method {compression}")
        raise ValueError(f"{index} is compressed ({how}), which is not read here: TensorFlow writes it plain")
    stored = struct.unpack_from("<I", content, end + 1)[0]
    if crc32c(content[start : end + 1]) != unmasked(stored):
        raise ValueError(f"{index} is damaged: the checksum of its block at byte {start} is wrong")
    return content[start:end]


def _pairs(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a block; a key says how much of the one before it begins with."""
    (restarts,) = struct.unpack_from("<I", block, len(block) - 4)
    end, at, key = len(block) - 4 * (restarts + 1), 0, b""
    while at < end:
        shared, at = _varint(block, at)
        own, at = _varint(block, at)
        size, at = _varint(block, at)
        if shared > len(key) or at + own + size > end:
            raise IndexError("an entry that is longer than its block")
        key = key[:shared] + block[at : at + own]
        yield key, block[at + own : at + own + size]
        at += own + size


def _handle(content: bytes, at: int) -> tuple[int, int, int]:
    start, at = _varint(content, at)
    size, at = _varint(content, at)
    return start, size, at


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = 0
    for i in range(_VARINT_BYTES):
        byte = content[at + i]
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return value, at + i + 1
    raise IndexError("a number without an end")


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and values of a protocol-buffer message's fields."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if wire == _BYTES:
            size, at = _varint(message, at)
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
        else:
            raise IndexError(f"a field of wire type {wire}")
        if at + size > len(message):
            raise IndexError("a field that is longer than its message")
        content = message[at : at + size]
        yield number, content if wire == _BYTES else int.from_bytes(content, "little")
        at += size


def _header(index: Path, message: bytes) -> int:
    """Number of data files; refuses numbers of the other byte order."""
    fields = _understood(index, "its header", message)
    if not fields:
        raise ValueError(f"{index} has no header of a TensorFlow checkpoint")
    if fields.get(2, [0])[-1] != 0:
        raise ValueError(f"{index} was written on a big-endian machine, whose numbers are not read here")
    shards = fields.get(1, [0])[-1]
    if not isinstance(shards, int) or not 0 < shards < 100_000:
        raise ValueError(f"{index} claims {shards!r} data files")
    return shards


def _stored(index: Path, name: str, message: bytes) -> Stored:
    fields = _understood(index, name, message)
    shape = [
        _understood(index, name, side).get(1, [0])[-1]
        for sides in fields.get(2, [])
        if isinstance(sides, bytes)
        for side in _understood(index, name, sides).get(2, [])
        if isinstance(side, bytes)
    ]
    one = {number: values[-1] for number, values in fields.items()}
    code = one.get(1, 0)
    kind = _TYPES.get(code) if isinstance(code, int) else None
    numbers = [one.get(number, 0) for number in (3, 4, 5, 6)]
    if not all(isinstance(value, int) for value in [*shape, *numbers]):
        raise ValueError(f"{index} is damaged: what it says of {name} is no entry of a variable")
    shard, offset, size, checksum = (int(value) for value in numbers)
    return Stored(
        kind or f"type {code!r}", tuple(int(side) for side in shape), shard, offset, size, unmasked(checksum),
        in_slices=7 in fields,
    )  # fmt: skip


def _understood(index: Path, what: str, message: bytes) -> dict[int, list[int | bytes]]:
    fields: dict[int, list[int | bytes]] = {}
    try:
        for number, value in _fields(message):
            fields.setdefault(number, []).append(value)
    except IndexError as error:
        raise ValueError(f"{index} is damaged: {what} has {error}") from None
    return fields
