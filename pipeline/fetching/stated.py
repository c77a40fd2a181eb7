"""Addresses of weights as the packages that use them state them, read from their source without running it.

A package knows where its own weights lie today; an address written here would grow old beside it. What the packages
give is a literal in a table, an attribute or a call, so the file is parsed and never imported: that would load torch.
"""

import ast
import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from pipeline.fetching.failure import FetchFailed

_PREFIX = re.compile(r"-([0-9a-f]{8,64})\.")  # as torch.hub reads it: NAME-HASH.SUFFIX, the beginning of a sha256
_SCHEMES = ("http://", "https://")


@dataclass(frozen=True)
class Address:
    """Where a file lies, and who says so.

    Attributes:
        url: its address.
        stated_in: package, version, file and line that state it, or why there is none.
    """

    url: str
    stated_in: str

    @property
    def file(self) -> str:
        """The owner's name of the file."""
        return self.url.split("?")[0].rsplit("/", 1)[-1]

    @property
    def sha256_prefix(self) -> str:
        """How the file's sha256 begins, as its owner writes it into the name; empty where the name holds no hash."""
        found = _PREFIX.search(self.file)
        return found[1] if found else ""


@dataclass(frozen=True)
class Stated:
    """A place in an installed package that states an address.

    Attributes:
        package: as it is imported.
        file: below the package's folder.
        ways: how to get to the text from the file's top: names of a class, a variable, a key, an argument; the first
            way that leads to a text counts (versions of a package differ).
        pack: what is appended, where the package states a folder.
    """

    package: str
    file: str
    ways: tuple[tuple[str, ...], ...]
    pack: str = ""

    def find(self) -> Address:
        """Read it.

        Raises:
            FetchFailed: the package is not installed, or states none there; the message says which.
        """
        path = self.path()
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (OSError, SyntaxError, ValueError) as error:
            raise FetchFailed(f"{path} cannot be read for the address that it states ({error})") from None
        for way in self.ways:
            if (text := _follow(tree, way)) is not None:
                url = f"{text.value.rstrip('/')}/{self.pack}" if self.pack else text.value
                if url.startswith(_SCHEMES):
                    return Address(url, f"{self.package}/{self.file}:{text.lineno} ({_release(self.package)})")
        looked = " or ".join(".".join(way) for way in self.ways)
        raise FetchFailed(f"{path} ({_release(self.package)}) states no address as {looked}: import the file instead")

    def path(self) -> Path:
        """The file that states it.

        Raises:
            FetchFailed: the package is not installed.
        """
        spec = find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            raise FetchFailed(f"the package {self.package}, which states the address, is not installed")
        return Path(next(iter(spec.submodule_search_locations)), self.file)


@dataclass(frozen=True)
class Repository:
    """A repository that is fetched whole because no package states an address for its files.

    Attributes:
        site: its page, without the scheme.
    """

    site: str

    def find(self) -> Address:
        """The archive of what its main branch holds today."""
        return Address(f"https://{self.site}/archive/HEAD.zip", "no installed package: the repository's own archive")


@dataclass(frozen=True)
class _Text:
    value: str
    lineno: int


def _follow(node: ast.AST, way: tuple[str, ...]) -> _Text | None:
    if not way:
        return (
            _Text(node.value, node.lineno) if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
        )
    inner = _step(node, way[0])
    return _follow(inner, way[1:]) if inner is not None else None


def _step(node: ast.AST, name: str) -> ast.AST | None:
    if isinstance(node, ast.Module | ast.ClassDef):
        for statement in node.body:
            if isinstance(statement, ast.ClassDef) and statement.name == name:
                return statement
            targets = statement.targets if isinstance(statement, ast.Assign) else []
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                return statement.value if isinstance(statement, ast.Assign) else None
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return next((value for key, value in pairs if isinstance(key, ast.Constant) and key.value == name), None)
    if isinstance(node, ast.Call):
        return next((keyword.value for keyword in node.keywords if keyword.arg == name), None)
    return None


def _release(package: str) -> str:
    try:
        return f"{package} {version(package)}"  # all of them are installed under the name that they are imported by
    except PackageNotFoundError:
        return "of no known version"
