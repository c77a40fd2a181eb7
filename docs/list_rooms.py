"""Write the tables of rooms into docs/architecture.md and CONTRIBUTING.md, from the code, pyproject.toml and dvc.yaml.

    python -m docs.list_rooms

A room is a folder of code below `model` or `pipeline`, or a module that lies there alone. Its line is the first
sentence of its docstring, its arrows are its imports, its floor is its layer in the import-linter contract of
pyproject.toml, and the stages that it runs again are those of dvc.yaml that name it.
"""

import ast
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

from pipeline.store.provenance import ROOT

LAYERS = ("pipeline", "model")
SHIPPED = "pipeline/puppets/assets"  # heads and weights that stages read
NOTHING = "nothing"


@dataclass(frozen=True)
class Room:
    """One room: its path below the root ("model/frame", "pipeline/cli.py") and what it is, in one sentence."""

    path: str
    line: str

    @property
    def name(self) -> str:
        """The name by which the import-linter contract knows it."""
        return Path(self.path).stem

    @property
    def layer(self) -> str:
        """The layer that it lies in."""
        return self.path.split("/")[0]


def rooms() -> list[Room]:
    """Every room, by layer and name."""
    found = []
    for layer in LAYERS:
        for path in sorted((ROOT / layer).iterdir()):
            is_room = path.is_dir() and any(path.glob("*.py"))
            if is_room or (path.suffix == ".py" and path.stem != "__init__"):
                line = _first_sentence(path / "__init__.py" if is_room else path)
                found.append(Room(path.relative_to(ROOT).as_posix(), line))
    return found


def floors(layer: str) -> list[list[str]]:
    """Names of a layer's rooms, floor by floor: a room imports from floors that stand after its own."""
    tables = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (rows,) = [table["layers"] for table in tables if table.get("containers") == [layer]]
    return [row.split(" | ") for row in rows]


def imports(room: Room) -> list[str]:
    """Rooms that a room imports from, sorted by path."""
    by_name = {(one.layer, one.name): one.path for one in rooms()}
    path = ROOT / room.path
    files = [path] if path.is_file() else sorted(path.rglob("*.py"))
    names = (name.split(".") for file in files for name in _imported(file))
    reached = {by_name[name[0], name[1]] for name in names if tuple(name[:2]) in by_name}
    return sorted(reached - {room.path})


def stages() -> dict[str, dict]:
    """The stages of dvc.yaml: name -> body."""
    found = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
    return {name: stage.get("do", stage) for name, stage in found.items()}


def runs_again(path: str) -> list[str]:
    """Stages of dvc.yaml that name a file or a folder, a folder above it, or a room of code below it."""
    return [name for name, body in stages().items() if any(named(path, str(dep)) for dep in body["deps"])]


def named(path: str, dep: str) -> bool:
    """Whether a dependency names a path, a folder above it, or one method's room below it."""
    below = dep.startswith(("model/", "pipeline/")) and dep.startswith(f"{path}/") and not dep.startswith(SHIPPED)
    return f"{path}/".startswith(f"{dep}/") or below


def sections() -> dict[str, list[str]]:
    """Sections of params.yaml -> the stages that read something of them."""
    found: dict[str, list[str]] = {}
    for name, body in stages().items():
        for parameter in body.get("params", []):
            section = str(parameter).split(".")[0]
            if isinstance(parameter, str) and name not in found.setdefault(section, []):
                found[section].append(name)
    return found


def room_table() -> list[str]:
    """Markdown table: room, what it is, the rooms that it imports from."""
    lines = ["| room | what | imports from |", "| --- | --- | --- |"]
    for room in rooms():
        lines.append(f"| `{room.path}` | {room.line} | {_listed(imports(room))} |")
    return lines


def floor_plan() -> list[str]:
    """The floors, as text."""
    plan = ["```", "stages"]
    for layer in LAYERS:
        plan += [f"  {layer}"] + [f"    {' | '.join(floor)}" for floor in floors(layer)]
    return [*plan, "```"]


def stage_table() -> list[str]:
    """Markdown table: what is touched, and the stages that run again."""
    lines = ["| touched | runs again |", "| --- | --- |"]
    for room in rooms():
        lines.append(f"| `{room.path}` | {_listed(runs_again(room.path))} |")
    for file in sorted((ROOT / SHIPPED).iterdir()):
        path = file.relative_to(ROOT).as_posix()
        lines.append(f"| `{path}` | {_listed(runs_again(path))} |")
    lines.append("| `stages/NAME.py` | the stage of that name |")
    for section, names in sections().items():
        lines.append(f"| `{section}` in `params.yaml` | {_listed(names)} |")
    return lines


PAGES: dict[str, dict[str, Callable[[], list[str]]]] = {  # page -> name of the block -> what it holds
    "docs/architecture.md": {"floors": floor_plan, "rooms": room_table},
    "CONTRIBUTING.md": {"stages": stage_table},
}


def filled(text: str, blocks: dict[str, Callable[[], list[str]]]) -> str:
    """Exchange what stands between `<!-- NAME: ... -->` and `<!-- end -->`.

    Raises:
        ValueError: the page lacks one of the blocks.
    """
    for name, make in blocks.items():
        pattern = re.compile(rf"(<!-- {name}: [^>]*-->\n).*?(<!-- end -->)", re.DOTALL)
        block = pattern.search(text)
        if block is None:
            raise ValueError(f"no block `<!-- {name}: ... -->` with an `<!-- end -->` on the page")
        text = text[: block.end(1)] + "\n".join([*make(), ""]) + text[block.start(2) :]
    return text


def _first_sentence(path: Path) -> str:
    if not path.exists():
        raise ValueError(f"{path.relative_to(ROOT)} is missing: a room says in one sentence what it is")
    paragraph = (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n\n")[0]
    if not paragraph:
        raise ValueError(f"{path.relative_to(ROOT)} has no docstring: a room says in one sentence what it is")
    return re.split(r"(?<=[.])\s", " ".join(paragraph.split()))[0].replace("|", "\\|")


def _imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or NOTHING


def main() -> None:
    """Write the tables."""
    for page, blocks in PAGES.items():
        path = ROOT / page
        path.write_text(filled(path.read_text(encoding="utf-8"), blocks), encoding="utf-8")


if __name__ == "__main__":
    main()
