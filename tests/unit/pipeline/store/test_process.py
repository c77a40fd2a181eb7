"""What importing the project sets before heavy libraries are loaded, and the device that a stage takes."""

import os
import subprocess
import sys

import pytest
import torch

from pipeline.store.devices import device_named

SHOW = "import pipeline, os, pyarrow; print(pyarrow.default_memory_pool().backend_name, os.environ['GOMP_SPINCOUNT'])"


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "system 1000"), ({"ARROW_DEFAULT_MEMORY_POOL": "mimalloc", "GOMP_SPINCOUNT": "7"}, "mimalloc 7")],
)
def test_arrow_and_openmp_are_set_unless_the_user_did(given, expected):
    own = {k: v for k, v in os.environ.items() if k not in ("ARROW_DEFAULT_MEMORY_POOL", "GOMP_SPINCOUNT")}
    done = subprocess.run([sys.executable, "-c", SHOW], env=own | given, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected


@pytest.mark.parametrize(("there", "chosen"), [(True, "cuda"), (False, "cpu")])
def test_auto_is_cuda_where_there_is_one(there, chosen, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert device_named("auto") == chosen
    assert [device_named(name) for name in ("cpu", "cuda:1")] == ["cpu", "cuda:1"]
