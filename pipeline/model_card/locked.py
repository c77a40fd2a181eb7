"""What dvc.lock says of files that are here: which code made them, and which results were made of them."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

CODE = ("model/", "pipeline/", "stages/")
SEEN_OF_CODE = (".py", ".npz", ".safetensors")  # what .dvcignore lets DVC see in folders of code


def md5_of(path: Path, suffixes: tuple[str, ...] = ("",)) -> str:
    """The hash that DVC gives a file, or a folder: the latter's is of the list of its files with theirs.

    Args:
        path: file or folder.
        suffixes: which of a folder's files count.
    """
    if path.is_file():
        return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    files = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
    seen = [name for name in files if name.endswith(suffixes) and not name.rpartition("/")[2].startswith(".")]
    listed = [{"md5": md5_of(path / name), "relpath": name} for name in seen]
    return hashlib.md5(json.dumps(listed).encode(), usedforsecurity=False).hexdigest() + ".dir"


class Lock:
    """A project's dvc.lock; empty where there is none.

    Args:
        project: folder of dvc.yaml.
    """

    def __init__(self, project: Path) -> None:
        self._project, path = project, project / "dvc.lock"
        found = YAML(typ="safe").load(path.read_text()) if path.is_file() else None
        self._stages: Mapping[str, Any] = (found or {}).get("stages", {})

    def maker(self, path: Path) -> str | None:
        """The stage that wrote a file or folder as it is now; None where dvc.lock knows it otherwise, or not at all."""
        return next((name for name, entry in self._entries("outs", path) if self._as_now(entry)), None)

    def is_of(self, made: Path, source: Path) -> bool:
        """Whether dvc.lock has `made`, as it is now, as written from `source` as it is now."""
        stage = self.maker(made)
        return stage is not None and any(
            name == stage and self._as_now(entry) for name, entry in self._entries("deps", source)
        )

    def code_md5(self, stage: str) -> str:
        """One hash of all code that a stage depended on when it ran."""
        return hashlib.md5(json.dumps(sorted(self._code(stage).items())).encode(), usedforsecurity=False).hexdigest()

    def changed_code(self, stage: str) -> list[str]:
        """Rooms and files of this code that are others now, or gone."""
        places = {name: self._project / name for name in self._code(stage)}
        now = {name: md5_of(path, SEEN_OF_CODE) if path.exists() else "" for name, path in places.items()}
        return sorted(name for name, md5 in self._code(stage).items() if now[name] != md5)

    def _code(self, stage: str) -> dict[str, str]:
        deps = self._stages[stage]["deps"]
        return {dep["path"]: dep["md5"] for dep in deps if dep["path"].startswith(CODE)}

    def _entries(self, kind: str, path: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
        try:
            name = path.resolve().relative_to(self._project.resolve()).as_posix()
        except ValueError:  # it lies outside the project
            return
        for stage, record in self._stages.items():
            for entry in record.get(kind, ()):
                if entry["path"] == name:
                    yield stage, entry

    def _as_now(self, entry: Mapping[str, str]) -> bool:
        path = self._project / entry["path"]
        return path.exists() and entry.get("md5") == md5_of(path)
