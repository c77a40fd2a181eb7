"""How tests are put together."""

import re
import subprocess

from tests.helpers import ROOT

LONGEST = 400  # lines


def test_no_test_file_imports_from_another():
    found = []
    for file in (ROOT / "tests").rglob("*.py"):
        if re.search(r"^\s*(from|import) [\w.]*\btest_\w+", file.read_text(), re.M):
            found.append(file.relative_to(ROOT).as_posix())
    assert found == [], "what tests share stands in tests/<topic>.py or a conftest.py"


def test_no_python_file_is_longer_than_one_idea():
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    lines = {name: len((ROOT / name).read_text().splitlines()) for name in listed.stdout.split()}
    assert len(lines) > 500
    assert {name: count for name, count in lines.items() if count > LONGEST} == {}
