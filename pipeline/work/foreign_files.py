"""Which files and folders below a data folder are not data: what systems and programs leave beside it."""

from collections.abc import Iterable, Iterator
from pathlib import Path

# Hidden names are macOS's resource forks (`._a.mp4`), .DS_Store, .ipynb_checkpoints, .Trash, half-finished downloads.
# No name of VoxCeleb's begins with a point: people are id00001, videos are YouTube's ids, frames are numbers.
_LEFT_BY_SYSTEMS = frozenset(
    {
        "__MACOSX", "@eaDir", "#recycle", "#snapshot", "@Recycle", "$RECYCLE.BIN", "System Volume Information",
        "lost+found", "Thumbs.db", "desktop.ini",
    }
)  # fmt: skip


def is_foreign(name: str) -> bool:
    """Whether a file or folder of this name is no data; what lies in such a folder is none either."""
    return name.startswith(".") or name in _LEFT_BY_SYSTEMS


def own_entries(folder: Path) -> list[Path]:
    """Files and folders directly in a folder, sorted, without the foreign ones."""
    return sorted(path for path in folder.iterdir() if not is_foreign(path.name))


def files_at_depth(folder: Path, folders: int, suffixes: Iterable[str]) -> Iterator[Path]:
    """Yield the files that lie a number of folders deep and end in one of the suffixes, in any case, sorted."""
    wanted = tuple(suffixes)
    if not folder.is_dir():
        return
    for path in own_entries(folder):
        if folders and path.is_dir():
            yield from files_at_depth(path, folders - 1, wanted)
        elif not folders and path.is_file() and path.suffix.lower() in wanted:
            yield path
