"""Which of our files a module reaches through its imports, and the key that is made of them.

The one way to make a fingerprint of code: nobody lists files by hand. A file's imports are read from its text, those
inside functions included, and the rooms above a module count, because Python runs their `__init__.py` as well.
Four things are left out:

* `__init__.py` of model, pipeline and stages, which only tame OpenMP and Arrow's memory;
* rooms that only declare or talk: parameters, whose values stand in keys themselves, the console, options of commands;
* doors: tables of what there is (assets, rows of the tables), which decide on no result of their own;
* for a key, what a plug-in table names ("module:Class"): whoever makes the key names the plug-in's module.

Beside our files a key holds the versions of the libraries that they import.
"""

import ast
import hashlib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = ("model", "pipeline", "stages")
DECLARE_ONLY = ("pipeline.params", "pipeline.console", "pipeline.options")
DOORS = ("pipeline.assets", "pipeline.report.rows")
# Libraries that move data or check parameters: another version gives no other number, so keys leave them out.
NO_RESULT = frozenset({"typer", "rich", "pydantic", "ruamel", "safetensors", "dask", "distributed"})

_PLUGIN = re.compile(r"^((?:model|pipeline)(?:\.\w+)+):\w+$")


def module_file(module: str) -> Path | None:
    """File of one of our modules, or None where the name is no module (a class or a function in one)."""
    base = ROOT.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


def closure(*modules: str, plugins: bool) -> list[Path]:
    """Files that modules reach, themselves included, sorted.

    Args:
        modules: dotted names of our modules.
        plugins: whether what plug-in tables name counts as reached, as it does for a whole stage.

    Raises:
        ModuleNotFoundError: a name is none of our modules.
    """
    return sorted(_reached(modules, plugins))


def code_sha256(*modules: str) -> str:
    """Hash the files that modules reach (without plug-ins) and the versions of the libraries that these import."""
    return _code_sha256(modules)


def file_hashes(*modules: str, plugins: bool) -> dict[Path, str]:
    """The sha256 of every file that modules reach."""
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in closure(*modules, plugins=plugins)}


def libraries(files: Iterable[Path]) -> dict[str, str]:
    """Versions of the third-party libraries that files import and that decide on results."""
    names = {name for path in files for name in _imports(path).foreign} - NO_RESULT
    return {name: _version(name) for name in sorted(names)}


@cache
def _code_sha256(modules: tuple[str, ...]) -> str:
    files = closure(*modules, plugins=False)
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    for name, found in libraries(files).items():
        digest.update(f"{name} {found}\0".encode())
    return digest.hexdigest()


def _reached(modules: Iterable[str], plugins: bool) -> set[Path]:
    seen: set[str] = set()
    files: set[Path] = set()
    waiting = list(modules)
    for module in waiting:
        if module_file(module) is None:
            raise ModuleNotFoundError(f"{module} is no module of {', '.join(OURS)}")
    while waiting:
        module = waiting.pop()
        if module in seen or module.startswith(tuple(f"{name}." for name in DECLARE_ONLY)):
            continue
        seen.add(module)
        if module in DECLARE_ONLY or module in DOORS or (path := module_file(module)) is None:
            continue
        files.add(path)
        found = _imports(path)
        waiting += [*found.ours, *_packages(module), *(found.plugins if plugins else ())]
    return files


def _packages(module: str) -> Iterator[str]:
    """The rooms that a module lies in, innermost first."""
    while (module := module.rpartition(".")[0]) not in ("", *OURS):
        yield module


class _Imports:
    """Names that a file imports: of ours, of plug-ins ("module:Class") and of third-party libraries."""

    def __init__(self, text: str) -> None:
        self.ours: set[str] = set()
        self.plugins: set[str] = set()
        self.foreign: set[str] = set()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                self._add({alias.name for alias in node.names})
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                self._add({node.module} | {f"{node.module}.{alias.name}" for alias in node.names})
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and (m := _PLUGIN.match(node.value)):
                self.plugins.add(m.group(1))

    def _add(self, names: set[str]) -> None:
        for name in names:
            top = name.split(".")[0]
            if top not in OURS:
                self.foreign |= {top} - sys.stdlib_module_names
            elif name not in OURS and module_file(name):
                self.ours.add(name)


def _imports(path: Path) -> _Imports:
    return _parsed(path, path.stat().st_mtime_ns)


@cache
def _parsed(path: Path, _changed: int) -> _Imports:
    return _Imports(path.read_text())


@cache
def _distributions() -> Mapping[str, list[str]]:
    return packages_distributions()


@cache
def _version(name: str) -> str:
    """Version of the package that ships the library `name`, "" where none is installed."""
    try:
        return ",".join(sorted(version(package) for package in set(_distributions().get(name, ()))))
    except PackageNotFoundError:
        return ""
