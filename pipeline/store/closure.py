"""Which of our files a module reaches through its imports, and the key that is made of them.

The one way to make a fingerprint of code: nobody lists files by hand. A file's imports are read from its text, those
inside functions included, and the rooms above a module count, because Python runs their `__init__.py` as well.
Left out are:

* `__init__.py` of model, pipeline and stages, which only tame OpenMP and Arrow's memory;
* rooms that only declare or talk: parameters, whose values stand in keys themselves, the console, options of commands;
* tables of what there is (assets, rows of the tables), which decide on no result of their own;
* how keys are made and where pieces lie: a piece under another name is not found, and none can hold another result;
* how an asset is found: its hash stands in keys itself;
* for a key, plug-in tables and what they name ("module:Class"): whoever makes the key names the plug-in's module.

Beside our files a key holds the versions of the libraries that they import. Every file is read once a process, so that
all keys of a process are of one state of the tree, the one it took its own code from.
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
DECLARE_ONLY = ("pipeline.params", "pipeline.console", "pipeline.options", "pipeline.run_stage")
DOORS = ("pipeline.assets", "pipeline.report.rows", "pipeline.method_table")
KEEPING = ("pipeline.store.assets", "pipeline.store.closure", "pipeline.store.scratch_root")
# Nothing but tables, so that a key can leave them out.
PLUGIN_TABLES = ("pipeline.instrument_table", "pipeline.trackers.table")
# Libraries that move data or check parameters: another version gives no other number, so keys leave them out.
NO_RESULT = frozenset({"typer", "rich", "pydantic", "ruamel", "safetensors", "dask", "distributed"})

_PLUGIN = re.compile(r"^((?:model|pipeline)(?:\.\w+)+):\w+$")


def module_file(module: str) -> Path | None:
    """File of one of our modules, or None where the name is no module (a class or a function in one)."""
    return TREE.module_file(module)


def closure(*modules: str, plugins: bool) -> list[Path]:
    """Files that modules of this project reach; see `SourceTree.closure`."""
    return TREE.closure(*modules, plugins=plugins)


def code_sha256(*modules: str, through: tuple[str, ...] = ()) -> str:
    """Hash the code that modules of this project reach, without plug-ins; see `SourceTree.code_sha256`."""
    return TREE.code_sha256(*modules, through=through)


class SourceTree:
    """Our files below a root as they were when they were first looked at.

    Args:
        root: folder that holds model, pipeline and stages.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._bytes: dict[Path, bytes] = {}
        self._imports: dict[Path, _Imports] = {}
        self._keys: dict[tuple[tuple[str, ...], tuple[str, ...]], str] = {}
        self._whole = ""

    def bytes_of(self, path: Path) -> bytes:
        """Bytes of a file when it was first asked for."""
        if path not in self._bytes:
            self._bytes[path] = path.read_bytes()
        return self._bytes[path]

    def whole_sha256(self) -> str:
        """Hash every Python file of model and pipeline: equal only where two trees are one version of the project."""
        if not self._whole:
            files = [path for name in ("model", "pipeline") for path in (self.root / name).rglob("*.py")]
            self._whole = self._hash(files).hexdigest()
        return self._whole

    def module_file(self, module: str) -> Path | None:
        """File of one of our modules, or None where the name is no module (a class or a function in one)."""
        base = self.root.joinpath(*module.split("."))
        for path in (base.with_suffix(".py"), base / "__init__.py"):
            if path in self._bytes or path.is_file():
                return path
        return None

    def closure(self, *modules: str, plugins: bool) -> list[Path]:
        """Files that modules reach, themselves included, sorted.

        Args:
            modules: dotted names of our modules.
            plugins: whether what plug-in tables name counts as reached, as it does for a whole stage.

        Raises:
            ModuleNotFoundError: a name is none of our modules.
            ValueError: a name is one of those that every closure leaves out, so that its key would say nothing.
        """
        for module in modules:
            if module.split(".")[0] not in OURS or self.module_file(module) is None:
                raise ModuleNotFoundError(f"{module} is no module of {', '.join(OURS)}")
            if _left_out(module, plugins):
                raise ValueError(f"{module} is left out of every closure: its key would never change")
        seen: set[str] = set()
        files: set[Path] = set()
        waiting = list(modules)
        while waiting:
            module = waiting.pop()
            if module in seen or _left_out(module, plugins):
                continue
            seen.add(module)
            waiting += _rooms(module)
            if path := self.module_file(module):  # none where a room has no __init__.py
                files.add(path)
                found = self._imports_of(path)
                waiting += [*found.ours, *(found.plugins if plugins else ())]
        return sorted(files)

    def code_sha256(self, *modules: str, through: tuple[str, ...] = ()) -> str:
        """Hash the files that modules reach (without plug-ins) and the versions of the libraries that these import.

        Args:
            modules: as for `closure`.
            through: further libraries whose version decides, because an imported one computes with them.
        """
        asked = (modules, through)
        if asked not in self._keys:
            files = self.closure(*modules, plugins=False)
            digest = self._hash(files)
            for name, found in self.libraries(files, through).items():
                digest.update(f"{name} {found}\0".encode())
            self._keys[asked] = digest.hexdigest()
        return self._keys[asked]

    def libraries(self, files: Iterable[Path], through: Iterable[str] = ()) -> dict[str, str]:
        """Versions of the third-party libraries that files import and that decide on results, and of further ones."""
        names = {name for path in files for name in self._imports_of(path).foreign} - NO_RESULT
        return {name: _version(name) for name in sorted(names.union(through))}

    def _hash(self, files: Iterable[Path]) -> "hashlib._Hash":
        digest = hashlib.sha256()
        for path in sorted(files):
            digest.update(path.relative_to(self.root).as_posix().encode() + b"\0" + self.bytes_of(path) + b"\0")
        return digest

    def _imports_of(self, path: Path) -> "_Imports":
        if path not in self._imports:
            self._imports[path] = _Imports(self, path)
        return self._imports[path]


def _left_out(module: str, plugins: bool) -> bool:
    if module in OURS or module in DOORS or module in KEEPING:
        return True
    if module in PLUGIN_TABLES:
        return not plugins
    return module in DECLARE_ONLY or module.startswith(tuple(f"{name}." for name in DECLARE_ONLY))


def _rooms(module: str) -> Iterator[str]:
    """The rooms that a module lies in, innermost first."""
    while (module := module.rpartition(".")[0]) not in ("", *OURS):
        yield module


class _Imports:
    """Names that a file imports: of ours, of plug-ins ("module:Class") and of third-party libraries."""

    def __init__(self, tree: SourceTree, path: Path) -> None:
        self.ours: set[str] = set()
        self.plugins: set[str] = set()
        self.foreign: set[str] = set()
        room = path.parent.relative_to(tree.root).parts
        for node in ast.walk(ast.parse(tree.bytes_of(path))):
            if isinstance(node, ast.Import):
                self._add(tree, {alias.name for alias in node.names})
            elif isinstance(node, ast.ImportFrom):
                above = room[: len(room) + 1 - node.level] if node.level else ()
                base = ".".join(filter(None, (*above, node.module)))
                self._add(tree, {base} | {f"{base}.{alias.name}" for alias in node.names})
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and (m := _PLUGIN.match(node.value)):
                self.plugins.add(m.group(1))

    def _add(self, tree: SourceTree, names: set[str]) -> None:
        for name in names:
            top = name.split(".")[0]
            if top not in OURS:
                self.foreign |= {top} - sys.stdlib_module_names
            elif name not in OURS and tree.module_file(name):
                self.ours.add(name)


TREE = SourceTree(ROOT)


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
