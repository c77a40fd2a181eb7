"""For pytest on a bare machine (`-p benchmarks.device.skipping`): what the machine lacks skips a test and fails none.

Elsewhere a package that cannot be imported is an error, as it should be.
"""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

OURS = {path.name for path in Path(__file__).resolve().parents[2].iterdir() if path.is_dir()}


class BareModule(pytest.Module):
    """A file of tests."""

    def _getobj(self) -> Any:
        try:
            return super()._getobj()
        except self.CollectError as error:
            skip_where_lacking(error.__cause__, allow_module_level=True)
            raise


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module:
    """Take a file's imports as those of a test."""
    return BareModule.from_parent(parent, path=module_path)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Look at what fixtures import."""
    with lacking():
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Look at what the test imports."""
    with lacking():
        yield


@contextmanager
def lacking() -> Generator[None, None, None]:
    """Skip where a package cannot be found."""
    try:
        yield
    except ModuleNotFoundError as error:
        skip_where_lacking(error)
        raise


def skip_where_lacking(error: BaseException | None, allow_module_level: bool = False) -> None:
    """Skip with the package's name if that is the matter; a module of this project has to be there."""
    package = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if package and package not in OURS:
        pytest.skip(f"this machine has no {package}", allow_module_level=allow_module_level)
