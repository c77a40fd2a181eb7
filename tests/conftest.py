"""What holds for all tests: one thread each, and which of them stay together where processes share them (pytest-xdist).

On a busy machine two OpenMP threads wait for each other longer than they work.
"""

import os
from typing import Any

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")

# Fixtures of a whole session, of which each process would make its own: a run of minutes, and what pip fetches.
COSTLY = ("reproduced", "open_assets")


@pytest.hookimpl(optionalhook=True)  # which only pytest-xdist asks for
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep the tests of a file in one process, and the files that use the same costly fixture in the same one.

    Marks of a group would say so, but xdist 3.8 writes them where pytest 9 does not look.
    """
    from xdist.scheduler.loadscope import LoadScopeScheduling

    if config.option.markexpr == "slow":
        # Files in their order, in which whole runs come first. With the most tests first, xdist's way, the longest
        # run of all began when the others had ended.
        config.option.loadscopereorder = False

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::")[0]
            text = (config.rootpath / file).read_text()
            return next((name for name in COSTLY if f"{name})" in text or f"{name}," in text), file)

    return Together(config, log)
