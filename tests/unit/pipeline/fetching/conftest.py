"""A server on the loopback for every test here that asks for one."""

import pytest

from tests.loopback import serving


@pytest.fixture
def loopback(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving() as world:
        yield world
