"""Finished pieces between runs: one file a clip, written at once, named by all that it depends on.

A piece lies at `<store>/<person>/<video>-<fingerprint><suffix>`, person and video as hashes: any name makes
a safe path, and all that was made of a person or a video is found and removed without reading it. Why a
piece could not be made lies beside it, under its name and `.failed.json`. A store belongs to one stage; a
process that is killed loses the piece that it was writing and nothing else.
"""

import contextlib
import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from model.atomic import PARTIAL, clear_abandoned, written_aside
from pipeline.store.provenance import write_json
from pipeline.store.shown import hidden_name, may_show, whole_video

FAILED = ".failed.json"


def piece_path(store: Path, person: str, video: str, fingerprint: str, suffix: str) -> Path:
    """Where the piece of one clip lies; the utterances of a video ("video/utterance") count as that video."""
    return store / hidden_name(person) / f"{hidden_name(whole_video(video))}-{fingerprint}{suffix}"


@contextlib.contextmanager
def written_at_once(path: Path) -> Iterator[Path]:
    """Write a piece as `model.atomic.written_aside` does; the record of an earlier failure goes when it is there."""
    with written_aside(path) as partial:
        yield partial
    _record(path).unlink(missing_ok=True)


def remember_failure(path: Path, reason: str, detail: str) -> None:
    """Keep why the piece at `path` could not be made, so that a re-run need not try again."""
    write_json(_record(path), {"reason": reason, "detail": detail})


def recall_failure(path: Path) -> tuple[str, str] | None:
    """Reason and detail of an earlier failure, or None where there was none."""
    try:
        record = json.loads(_record(path).read_text())
    except FileNotFoundError:
        return None
    return record["reason"], record["detail"]


def sweep(store: Path) -> None:
    """Remove what killed writers left half-written, but nothing that may still be in the works."""
    clear_abandoned(store.glob(f"*/*{PARTIAL}"))


def remove_pieces(stores: Path, name: str) -> int:
    """Remove every piece and failure record of a person or a video, from the stores of every layout.

    Args:
        stores: the scratch folder (`pipeline.store.scratch_root.scratch_root`).
        name: of the person or the video.

    Returns:
        Number of files removed.
    """
    patterns = (f"*/*/{hidden_name(name)}/*", f"*/*/*/{hidden_name(name)}-*")
    found = {path for layout in _layouts(stores) for pattern in patterns for path in layout.glob(pattern)}
    for file in found:
        file.unlink(missing_ok=True)
    return len(found)


def _layouts(stores: Path) -> list[Path]:
    """Folders of all layouts; of the first, stores lie in the scratch folder itself."""
    return [stores, *stores.glob("layout*")]


def remove_folders(stores: Path, kinds: Iterable[str], name: str) -> int:
    """Remove the folders <kind>/<key> of every layout that may hold pictures of a person or a video.

    A folder that does not say whom it shows goes too: it is made again at need.

    Args:
        stores: the scratch folder (`pipeline.store.scratch_root.scratch_root`).
        kinds: which folders to look through.
        name: of the person or the video.

    Returns:
        Number of folders removed.
    """
    folders = [path for layout in _layouts(stores) for kind in kinds for path in sorted(layout.glob(f"{kind}/*/"))]
    found = [folder for folder in folders if may_show(folder, name)]
    for folder in found:
        shutil.rmtree(folder)
    return len(found)


def _record(path: Path) -> Path:
    return path.with_name(path.name + FAILED)
