"""Every decoder that a film may meet."""

import sys

import pytest


@pytest.fixture(params=["decord", "pyav"])
def decoder(request, monkeypatch):
    """Decode with decord first, as where it is installed, or without it."""
    if request.param == "pyav":
        monkeypatch.setitem(sys.modules, "decord", None)
    else:
        pytest.importorskip("decord")
    return request.param
