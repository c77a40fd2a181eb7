"""The toy benchmark's results, made once for all tests of reports."""

import pytest

from tests.report_world import make_world


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    make_world(folder)
    return folder
