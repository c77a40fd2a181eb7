"""What importing the project sets before heavy libraries are loaded."""

import os
import subprocess
import sys

import pytest

SHOW = "import pipeline, os, pyarrow; print(pyarrow.default_memory_pool().backend_name, os.environ['GOMP_SPINCOUNT'])"


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "system 1000"), ({"ARROW_DEFAULT_MEMORY_POOL": "mimalloc", "GOMP_SPINCOUNT": "7"}, "mimalloc 7")],
)
def test_arrow_and_openmp_are_set_unless_the_user_did(given, expected):
    own = {k: v for k, v in os.environ.items() if k not in ("ARROW_DEFAULT_MEMORY_POOL", "GOMP_SPINCOUNT")}
    done = subprocess.run([sys.executable, "-c", SHOW], env=own | given, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == expected
