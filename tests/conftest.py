"""What holds for all tests: one thread each, and which of them stay together where processes share them (pytest-xdist).

On a busy machine two OpenMP threads wait for each other longer than they work.
"""

import os

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")

COSTLY = ("small_project", "open_assets")  # fixtures of a whole session: a run of minutes, and what pip fetches


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a file together, and all that use a costly fixture: each process would make its own."""
    for item in items:
        used = getattr(item, "fixturenames", ())
        group = next((name for name in COSTLY if name in used), item.nodeid.split("::")[0])
        item.add_marker(pytest.mark.xdist_group(group))
