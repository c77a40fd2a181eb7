"""CRC-32C, the checksum of TensorFlow's checkpoints, of hundreds of megabytes in seconds.

A checksum is a linear map over bits (up to its starting value). So the bytes are cut into lanes that all advance by
one word at a time in NumPy, and neighbours are joined by the map that a run of zero bytes would apply to the left one.
Source: RFC 3720, appendix B.4 (polynomial and test vectors).
"""

from functools import cache

import numpy as np

_POLYNOMIAL = 0x82F63B78  # of CRC-32C, bits reversed
_ALL = np.uint32(0xFFFFFFFF)
_LANES = 4096
_WORD = 4  # bytes that a lane advances by
_LEAST = 1 << 16  # bytes from which lanes pay


def crc32c(data: bytes | bytearray | memoryview) -> int:
    """CRC-32C of bytes, 0..2^32-1."""
    content = np.frombuffer(data, np.uint8)
    state = _ALL
    if len(content) >= _LEAST:
        words = len(content) // (_WORD * _LANES)
        in_lanes = words * _WORD * _LANES
        # The starting value goes through the first lane alone; the others start from nothing.
        lanes = np.zeros(_LANES, np.uint32)
        lanes[0] = state
        state = _joined(_advanced(lanes, content[:in_lanes].view("<u4").reshape(_LANES, words)), words * _WORD)
        content = content[in_lanes:]
    return int(_bytewise(state, content) ^ _ALL)


def unmasked(stored: int) -> int:
    """The checksum behind a masked one, as TensorFlow and LevelDB store it."""
    turned = (stored - 0xA282EAD8) & 0xFFFFFFFF
    return ((turned >> 17) | (turned << 15)) & 0xFFFFFFFF


def _advanced(lanes: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Each lane's state after its row of words."""
    low, high = _halves()
    for column in range(words.shape[1]):
        lanes = lanes ^ words[:, column]
        lanes = low[lanes & 0xFFFF] ^ high[lanes >> 16]
    return lanes


def _joined(lanes: np.ndarray, num_bytes: int) -> np.uint32:
    """One state of lanes that stand side by side, `num_bytes` each; their number is a power of two."""
    over = _over_zeros(num_bytes)
    while len(lanes) > 1:
        lanes = _mapped(over, lanes[::2]) ^ lanes[1::2]
        over = _mapped(over, over)
    return np.uint32(lanes[0])


def _bytewise(state: np.uint32, content: np.ndarray) -> np.uint32:
    table, value = _table().tolist(), int(state)
    for byte in content.tolist():
        value = table[(value ^ byte) & 0xFF] ^ (value >> 8)
    return np.uint32(value)


@cache
def _table() -> np.ndarray:
    """What each byte adds to the state."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(_POLYNOMIAL), table >> 1).astype(np.uint32)
    return table


@cache
def _halves() -> tuple[np.ndarray, np.ndarray]:
    """What the low and the high 16 bits of a word (with the state in it) leave four bytes later."""
    columns, numbers = _over_zeros(_WORD), np.arange(1 << 16, dtype=np.uint32)
    return _mapped(columns, numbers), _mapped(columns, numbers << np.uint32(16))


def _over_zeros(num_bytes: int) -> np.ndarray:
    """The map (32,) that zero bytes apply to a state: the image of each bit. Made of squares of the map of one byte."""
    bits = np.uint32(1) << np.arange(32, dtype=np.uint32)
    square = _table()[bits & 0xFF] ^ (bits >> 8)
    result = bits
    while num_bytes:
        if num_bytes & 1:
            result = _mapped(square, result)
        square = _mapped(square, square)
        num_bytes >>= 1
    return result


def _mapped(columns: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Apply a map of bits, given by its columns (32,), to values (N,)."""
    images = np.zeros_like(values)
    for bit in range(32):
        images ^= np.where((values >> np.uint32(bit)) & 1, columns[bit], np.uint32(0))
    return images
