"""How tests are put together."""

import re

from tests.helpers import ROOT


def test_no_test_file_imports_from_another():
    found = []
    for file in (ROOT / "tests").rglob("*.py"):
        if re.search(r"^\s*(from|import) [\w.]*\btest_\w+", file.read_text(), re.M):
            found.append(file.relative_to(ROOT).as_posix())
    assert found == [], "what tests share stands in tests/<topic>.py or a conftest.py"
