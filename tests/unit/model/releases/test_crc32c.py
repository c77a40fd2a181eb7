"""The vectorised checksum against the standard's vectors and the definition, bit by bit."""

import numpy as np
import pytest

from model.releases.crc32c import crc32c, unmasked


def bit_by_bit(data: bytes) -> int:
    state = 0xFFFFFFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = (state >> 1) ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF


@pytest.mark.parametrize(
    ("data", "checksum"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(reversed(range(32))), 0x113FDB5C),
    ],
)
def test_vectors_of_rfc_3720(data, checksum):
    assert crc32c(data) == checksum


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537, 98_311])
def test_lanes_give_what_the_definition_gives(size):
    data = np.random.default_rng(size).bytes(size)
    assert crc32c(data) == bit_by_bit(data)


def test_masks_are_undone():
    for checksum in (0, 1, 0xE3069283, 0xFFFFFFFF):
        masked = (((checksum >> 15) | (checksum << 17)) + 0xA282EAD8) & 0xFFFFFFFF
        assert unmasked(masked) == checksum
