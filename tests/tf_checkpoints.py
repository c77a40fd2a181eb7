"""TensorFlow checkpoints as TensorFlow lays them out (tensor bundles), written by this project's tests alone."""

import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from model.releases.crc32c import crc32c

CODES = {"float32": 1, "float64": 2, "int32": 3, "string": 7, "int64": 9}
BLOCK = 4096  # bytes after which a block of the table ends
RESTART = 16  # entries after which a key is written out whole


def write_checkpoint(
    prefix: Path, arrays: Mapping[str, np.ndarray], shards: int = 1, compression: int = 0, endianness: int = 0
) -> list[Path]:
    """Write `prefix.index` and its data files; an array that repeats one number is stored in full."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    files = [prefix.with_name(f"{prefix.name}.data-{i:05d}-of-{shards:05d}") for i in range(shards)]
    contents = [bytearray() for _ in files]
    header = _field(1, shards) + (_field(2, endianness) if endianness else b"") + _field(3, _field(1, 1))
    entries = {b"": header}
    for i, (name, array) in enumerate(sorted(arrays.items())):
        data, shard = contents[i % shards], i % shards
        stored = array.astype(array.dtype.newbyteorder("<")).tobytes()
        shape = b"".join(_field(2, _field(1, side)) for side in array.shape)
        entries[name.encode()] = (
            _field(1, CODES[str(array.dtype)]) + _field(2, shape) + (_field(3, shard) if shard else b"")
            + _field(4, len(data)) + _field(5, len(stored)) + _tag(6, 5) + struct.pack("<I", masked(crc32c(stored)))
        )  # fmt: skip
        data += stored
    for file, data in zip(files, contents, strict=True):
        file.write_bytes(data)
    index = prefix.with_name(f"{prefix.name}.index")
    index.write_bytes(_table(entries, compression))
    return [index, *files]


def masked(checksum: int) -> int:
    """A checksum as it is stored beside its data."""
    return (((checksum >> 15) | (checksum << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _table(entries: Mapping[bytes, bytes], compression: int) -> bytes:
    blocks, handles, current = bytearray(), {}, {}
    for key, value in sorted(entries.items()):
        current[key] = value
        if sum(map(len, current.values())) > BLOCK:
            handles[key] = _appended(blocks, _block(current), compression)
            current = {}
    if current:
        handles[max(current)] = _appended(blocks, _block(current), compression)
    meta = _appended(blocks, _block({}), 0)
    index = _appended(blocks, _block(handles), 0)
    footer = (meta + index).ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)
    return bytes(blocks) + footer


def _block(entries: Mapping[bytes, bytes]) -> bytes:
    content, restarts, before = bytearray(), [0], b""
    for i, (key, value) in enumerate(entries.items()):
        shared = 0
        if i % RESTART:
            while shared < min(len(key), len(before)) and key[shared] == before[shared]:
                shared += 1
        elif i:
            restarts.append(len(content))
        content += _varint(shared) + _varint(len(key) - shared) + _varint(len(value)) + key[shared:] + value
        before = key
    return bytes(content) + b"".join(struct.pack("<I", at) for at in restarts) + struct.pack("<I", len(restarts))


def _appended(blocks: bytearray, block: bytes, compression: int) -> bytes:
    handle = _varint(len(blocks)) + _varint(len(block))
    typed = block + bytes([compression])
    blocks += typed + struct.pack("<I", masked(crc32c(typed)))
    return handle


def _field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return _tag(number, 0) + _varint(value)
    return _tag(number, 2) + _varint(len(value)) + value


def _tag(number: int, wire: int) -> bytes:
    return _varint(number << 3 | wire)


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])
