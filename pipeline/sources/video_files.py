"""Finds videos by their ids, whatever their container and wherever they lie below one folder."""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.work.foreign_files import is_foreign

# In the order in which one of several files with the same id is chosen. Choice: mp4 first, because decord reads
# it fastest; the rest by how common they are among downloads.
VIDEO_SUFFIXES = (
    ".mp4", ".mkv", ".webm", ".mov", ".m4v", ".avi", ".flv", ".ts", ".mpg", ".mpeg", ".3gp", ".wmv", ".ogv",
)  # fmt: skip


class VideoFiles:
    """The video files below a folder, read once; links are followed.

    Other files (subtitles, sound, half-finished downloads) are left aside.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: defaultdict[str, list[Path]] = defaultdict(list)
        for path in walk(folder):
            if path.suffix.lower() in VIDEO_SUFFIXES:
                self._files[path.stem].append(path)

    def find(self, video: str, person: str) -> tuple[Path, str]:
        """Return a video's file and a note, which is empty unless several files match.

        Of several, one in a folder named like the person comes first, then the suffix decides, then the
        path. Where there is none, the path returned is a pattern that no file has.
        """
        found = self._files.get(video, [])
        if not found:
            return self.folder / f"{video}.*", ""
        if len(found) == 1:
            return found[0], ""
        return choose([path for path in found if path.parent.name == person] or found, self.folder)

    def holds(self, video: str) -> bool:
        """Whether there is a file of this id."""
        return video in self._files


def choose(found: Sequence[Path], folder: Path) -> tuple[Path, str]:
    """Choose one of several files of one video; the note names them below `folder`, and is empty where there is one."""
    first, *others = sorted(found, key=lambda path: (VIDEO_SUFFIXES.index(path.suffix.lower()), path))
    names = ", ".join(str(path.relative_to(folder)) for path in others)
    return first, f"took {first.relative_to(folder)}, which {names} also matches" if others else ""


def walk(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder in sorted order, following links.

    A folder seen before is not entered again; a link to nothing, and what is no data (`is_foreign`), are left out.
    """
    seen: set[str] = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not is_foreign(name))
        for name in sorted(files):
            if not is_foreign(name) and os.path.isfile(os.path.join(parent, name)):
                yield Path(parent, name)
