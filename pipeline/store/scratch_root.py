"""Where finished pieces are kept between kills: `data/scratch/<layout>/<kind>/<fingerprint>`.

A layout is how stores are named and what lies in them. Each has a folder of its own, so that a piece of another layout
is never taken for one of ours.
"""

import os
import tempfile
from pathlib import Path

LAYOUT = "layout2"
_FIRST_LAYOUT = ("crop", "detect", "fit", "readings", "train", "videos")  # these stores lay in data/scratch itself


class ScratchError(RuntimeError):
    """Finished pieces cannot be kept; the message names the folder."""


def scratch_root() -> Path:
    """Folder of all that is kept between kills, of every layout.

    It lies below `$DVC_ROOT`, which DVC sets to the main project also for runs in a temporary copy.
    """
    return Path(os.environ.get("DVC_ROOT", ".")) / "data" / "scratch"


def scratch_dir(kind: str, fingerprint: str) -> Path:
    """Folder where a stage keeps finished pieces between kills, keyed by all that they depend on.

    Raises:
        ScratchError: it cannot be written.
    """
    return _writable(scratch_place(kind, fingerprint))


def scratch_place(kind: str, fingerprint: str) -> Path:
    """That folder for those who only read: it may not be there."""
    return scratch_root() / LAYOUT / kind / fingerprint[:20]


def check_scratch() -> None:
    """Raise ScratchError where no piece could be kept: before the work, not after its first piece."""
    _writable(scratch_root() / LAYOUT)


def earlier_layouts() -> list[Path]:
    """Folders that earlier versions of this project kept pieces in; nothing reads them."""
    root = scratch_root()
    layouts = [path for path in root.glob("layout*") if path.name != LAYOUT]
    return sorted(path for path in [*layouts, *(root / kind for kind in _FIRST_LAYOUT)] if path.is_dir())


def _writable(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise ScratchError(
            f"the scratch folder {folder} cannot be written ({error.strerror}): make it writable, or put a link to a "
            f"folder that is in the place of {scratch_root()}"
        ) from error
