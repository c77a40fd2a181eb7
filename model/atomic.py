"""The one way to write a file or a folder: aside, then renamed; a reader finds the old one or the whole new one."""

import contextlib
import glob
import os
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

PARTIAL = ".partial"
ABANDONED_S = 3600  # what was last written so long ago has no writer any more


@contextlib.contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yield a name beside `path`; the file or folder that is made there becomes `path` when the block ends well.

    When the block fails, `path` stays as it was. The name belongs to this writer alone: several writers of one path
    never mix, and the last one that ends counts. What a killed writer left behind goes with a later write of the same
    path. A folder takes the place of an older one in two renames; a kill between them leaves none.

    Args:
        path: its parent folders are created.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    clear_abandoned(path.parent.glob(f"{glob.escape(path.name)}.*{PARTIAL}"))
    partial = _own_name(path)
    try:
        yield partial
        if partial.is_dir() and path.is_dir():
            older = _own_name(path)
            os.rename(path, older)
            os.rename(partial, path)
            _remove(older)
        else:
            os.replace(partial, path)
    finally:
        _remove(partial)


def clear_abandoned(partials: Iterable[Path]) -> None:
    """Remove what killed writers left half-written, but nothing that may still be in the works."""
    for partial in partials:
        with contextlib.suppress(FileNotFoundError):
            if time.time() - _last_written(partial) > ABANDONED_S:
                _remove(partial)


def _own_name(path: Path) -> Path:
    return path.with_name(f"{path.name}.{uuid.uuid4().hex[:12]}{PARTIAL}")


def _last_written(path: Path) -> float:
    return max(file.stat().st_mtime for file in (path, *path.rglob("*")))


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
