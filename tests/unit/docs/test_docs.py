"""The page of conventions says what the code does and shows pictures that exist; pages name commands that exist."""

import doctest
import importlib.util
import re

from docs import draw_conventions
from tests.helpers import ROOT

PAGE = ROOT / "docs" / "conventions.md"


def test_the_examples_of_the_conventions_hold():
    found = doctest.testfile(str(PAGE), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted > 20
    assert found.failed == 0


def test_every_file_that_the_page_names_exists():
    text = PAGE.read_text()
    named = re.findall(r"`((?:model|pipeline|tests)/[\w/]+\.py)`", text)
    assert len(named) > 8
    for path in [*named, *(f"docs/{link}" for link in re.findall(r"\]\((pictures/[^)]+)\)", text))]:
        assert (ROOT / path).exists(), path
    assert "docs/conventions.md" in (ROOT / "README.md").read_text()


def test_every_command_that_a_page_names_exists():
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    modules = {name for page in pages for name in re.findall(r"python -m ([\w.]+)", page.read_text())}
    assert len(modules) > 3
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    assert missing == []


def test_the_script_draws_the_pictures_of_the_page(tmp_path, monkeypatch):
    monkeypatch.setattr(draw_conventions, "OUT", tmp_path)
    monkeypatch.setattr(draw_conventions, "SIDE", 64)
    monkeypatch.setattr(draw_conventions, "TEXTURE", 128)
    draw_conventions.main()
    shown = re.findall(r"\]\(pictures/([^)]+)\)", PAGE.read_text())
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(shown)
    assert all((ROOT / "docs" / "pictures" / name).stat().st_size < 200_000 for name in shown)
