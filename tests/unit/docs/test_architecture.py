"""docs/architecture.md and CONTRIBUTING.md against the code, pyproject.toml and dvc.yaml."""

import ast
import re
import tomllib

import pytest
from ruamel.yaml import YAML

from docs import list_rooms
from tests.arch.stage_deps import is_code
from tests.helpers import ROOT

ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
STAGES = "What runs again when I touch X"
PATH = re.compile(r"`((?:model|pipeline|stages|tests|docs|benchmarks|profiles)/[\w/.]*)`")


def rows(text: str, heading: str) -> list[list[str]]:
    """Cells of the first table below a heading, its header left out."""
    lines = text.split(f"\n## {heading}\n")[1].split("\n## ")[0].splitlines()
    table = [line for line in lines if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table[2:]]


def identifiers(file: str) -> set[str]:
    """Names that a Python file defines: classes, functions, arguments, variables, fields, attributes."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.arg(arg=name):
                found.add(name)
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                found.add(name)
    return found


def members(file: str, owner: str) -> set[str]:
    """Names that a class of a Python file defines."""
    (body,) = [
        n for n in ast.walk(ast.parse((ROOT / file).read_text())) if isinstance(n, ast.ClassDef) and n.name == owner
    ]
    fields = {n.target.id for n in body.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)}
    methods = {n.name for n in body.body if isinstance(n, ast.FunctionDef)}
    own = {n.attr for n in ast.walk(body) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store)}
    return fields | methods | own


@pytest.mark.parametrize("page", sorted(list_rooms.PAGES))
def test_the_tables_of_a_page_are_those_of_the_code(page):
    text = (ROOT / page).read_text()
    assert list_rooms.filled(text, list_rooms.PAGES[page]) == text, "run `python -m docs.list_rooms`"


def test_every_room_stands_on_the_page_with_its_sentence_and_no_other():
    shown = {room.strip("`"): line for room, line, _ in rows(ARCHITECTURE, "Rooms")}
    code = {path for layer in ("model", "pipeline") for path in (ROOT / layer).rglob("*.py")}
    files = {path.relative_to(ROOT).parts for path in code if path.relative_to(ROOT).parts[1] != "__init__.py"}
    assert set(shown) == {"/".join(parts[:2]) for parts in files}
    assert all(line.endswith(".") and len(line) > 20 for line in shown.values())


def test_the_arrows_run_down_the_floors():
    below = {}
    for layer in ("model", "pipeline"):
        floors = list_rooms.floors(layer)
        for number, floor in enumerate(floors):
            for name in floor:
                below[layer, name] = {other for row in floors[number + 1 :] for other in row}
    named = {room.path: room for room in list_rooms.rooms()}
    for room in named.values():
        for other in (named[path] for path in list_rooms.imports(room)):
            if other.layer == room.layer:
                assert other.name in below[room.layer, room.name], f"{room.path} imports from {other.path}"
            else:
                assert (room.layer, other.layer) == ("pipeline", "model"), f"{room.path} imports from {other.path}"


def test_the_stages_of_a_room_are_those_that_name_it_in_dvc_yaml():
    stages = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
    deps = {name: stage.get("do", stage)["deps"] for name, stage in stages.items()}
    shown = {what.strip("`"): set(re.findall(r"`(\w+)`", again)) for what, again in rows(CONTRIBUTING, STAGES)}
    for name, listed in deps.items():
        for dep in filter(is_code, listed):
            room = "/".join(dep.split("/")[:2])  # that of a method lies one deeper
            if not dep.startswith(("stages/", "model/${")):
                assert name in shown[room], f"{dep} runs {name}"
    for room in list_rooms.rooms():
        assert shown[room.path] <= {
            name for name, listed in deps.items() if any(f"{dep}/".startswith(f"{room.path}/") for dep in listed)
        }


def test_every_file_that_the_pages_name_exists():
    for text in (ARCHITECTURE, CONTRIBUTING):
        named = {*PATH.findall(text), *re.findall(r"`([\w.]+\.(?:yaml|toml|md))`", text)} - {"stages/NAME.py"}
        assert len(named) > 10
        assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_symbol_has_its_name_in_its_file():
    table = rows(ARCHITECTURE, "The paper's symbols")
    assert len(table) > 20
    for symbol, _, names, files in table:
        paths = re.findall(r"`([^`]+)`", files)
        for name in re.findall(r"`([^`]+)`", names):
            owner, _, member = name.rpartition(".")
            where = [path for path in paths if {owner or member, member} <= identifiers(path)]
            assert where, f"{symbol}: no {name} in {files}"
            assert not owner or any(member in members(path, owner) for path in where), f"{symbol}: no {name}"


def test_every_line_to_add_to_exists():
    named = 0
    for cell in (cell for row in rows(CONTRIBUTING, "How to add") for cell in row):
        for names, file in re.findall(r"((?:`\w+`(?: and |, )?)+) in `([\w/]+\.py)`", cell):
            for name in re.findall(r"\w+", names.replace(" and ", " ")):
                assert name in identifiers(file), f"no {name} in {file}"
                named += 1
    assert named > 12


def test_a_page_without_its_block_and_a_room_without_a_sentence_are_refused(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="no block `<!-- rooms"):
        list_rooms.filled("nothing here", {"rooms": list})
    for layer in ("model", "pipeline"):
        (tmp_path / layer / "new").mkdir(parents=True)
        (tmp_path / layer / "new" / "one.py").write_text('"""One."""\n')
    monkeypatch.setattr(list_rooms, "ROOT", tmp_path)
    with pytest.raises(ValueError, match="pipeline/new/__init__.py is missing"):
        list_rooms.rooms()
    (tmp_path / "pipeline" / "new" / "__init__.py").write_text("")
    with pytest.raises(ValueError, match="pipeline/new/__init__.py has no docstring"):
        list_rooms.rooms()


def test_the_citation_names_the_software_and_the_paper():
    citation = YAML(typ="safe").load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors", "references"} <= set(citation)
    assert str(citation["cff-version"]) == "1.2.0"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (str(citation["version"]), citation["license"]) == (project["version"], project["license"])
    (paper,) = citation["references"]
    assert paper["title"] == "Geometry Driven Progressive Warping for One-Shot Face Animation"
    assert [author["family-names"] for author in paper["authors"]] == ["Zhong", "Amjadi", "Zharkov"]
    assert {"type", "title", "authors"} <= set(paper)
    assert all(
        {"name"} <= set(author) or {"family-names", "given-names"} <= set(author) for author in citation["authors"]
    )
