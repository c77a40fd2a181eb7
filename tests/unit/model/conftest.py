"""The places where every test that computes is run (tests/devices.py)."""

from collections.abc import Iterator

import pytest

from tests.devices import DEVICES, PLACES, Place, single_precision


@pytest.fixture(params=PLACES)
def placed(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A device and a dtype: for tests that hold in any."""
    with single_precision():
        yield request.param


@pytest.fixture(params=DEVICES)
def on_device(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A device: for tests that choose their dtypes themselves."""
    with single_precision():
        yield request.param
