"""Compiled loops: where nothing can be kept they are compiled anew, and say so."""

import importlib

import pytest
import torch
from numba.core.caching import CacheImpl

from model.render import triangle_loops
from model.render.raster import rasterize
from tests.meshes import sphere


@pytest.fixture
def no_place(monkeypatch):
    """As in a read-only checkout without a home: numba finds no folder for what it compiles."""
    with monkeypatch.context() as patched:
        patched.setattr(CacheImpl, "_locator_classes", [])
        with pytest.warns(UserWarning, match="NUMBA_CACHE_DIR"):
            importlib.reload(triangle_loops)
    yield
    importlib.reload(triangle_loops)


def drawn() -> torch.Tensor:
    verts, triangles = sphere()
    return rasterize(verts, triangles, (24, 31)).barycentric


def test_without_a_place_the_answer_is_the_same(request):
    kept = drawn()
    request.getfixturevalue("no_place")
    assert triangle_loops._fill.stats.cache_path is None
    assert torch.equal(drawn(), kept)
    assert kept.any()
