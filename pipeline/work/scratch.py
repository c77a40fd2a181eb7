"""Finished pieces between runs: one file a clip, written at once, named by all that it depends on.

A piece lies at `<store>/<person>/<video>-<fingerprint><suffix>`, person and video as hashes: any name makes
a safe path, and all that was made of a person or a video is found and removed without reading it. Why a
piece could not be made lies beside it, under its name and `.failed.json`. A store belongs to one stage; a
process that is killed loses the piece that it was writing and nothing else.
"""

import contextlib
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.store.provenance import write_json

FAILED = ".failed.json"
PARTIAL = ".partial"
PEOPLE = "people.json"  # in a folder that holds pictures of many
ABANDONED_S = 3600  # a partial file this old has no writer any more: no clip takes that long


def piece_path(store: Path, person: str, video: str, fingerprint: str, suffix: str) -> Path:
    """Where the piece of one clip lies; the utterances of a video ("video/utterance") count as that video."""
    return store / _hash(person) / f"{_hash(whole_video(video))}-{fingerprint}{suffix}"


@contextlib.contextmanager
def written_at_once(path: Path) -> Iterator[Path]:
    """Yield a name of this writer's own; what was written there becomes `path` when the block ends well.

    The record of an earlier failure goes then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex[:12]}{PARTIAL}")
    try:
        yield partial
        os.replace(partial, path)
        _record(path).unlink(missing_ok=True)
    finally:
        partial.unlink(missing_ok=True)


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
    for partial in store.glob(f"*/*{PARTIAL}"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - partial.stat().st_mtime > ABANDONED_S:
                partial.unlink()


def remove_pieces(stores: Path, name: str) -> int:
    """Remove every piece and failure record of a person or a video from all `stores`/<stage>/<store>.

    Returns:
        Number of files removed.
    """
    found = {*stores.glob(f"*/*/{_hash(name)}/*"), *stores.glob(f"*/*/*/{_hash(name)}-*")}
    for file in found:
        file.unlink(missing_ok=True)
    return len(found)


def name_people(folder: Path, names: Iterable[str]) -> None:
    """Write down, as hashes, whose pictures a scratch folder is about to hold: people, and videos."""
    path = folder / PEOPLE
    if not path.exists():
        write_json(path, sorted(map(_hash, set(names))))


def remove_folders(stores: Path, kinds: Iterable[str], name: str) -> int:
    """Remove the folders `stores`/<kind>/<key> that may hold pictures of a person or a video.

    A folder that does not say whom it shows goes too: it is made again at need.

    Returns:
        Number of folders removed.
    """
    found = [folder for kind in kinds for folder in sorted(stores.glob(f"{kind}/*/")) if _may_show(folder, name)]
    for folder in found:
        shutil.rmtree(folder)
    return len(found)


def _may_show(folder: Path, name: str) -> bool:
    try:
        return _hash(name) in json.loads((folder / PEOPLE).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return True


def whole_video(video: str) -> str:
    """Name of the video that an utterance ("video/utterance") was cut from."""
    return video.split("/")[0]


def _record(path: Path) -> Path:
    return path.with_name(path.name + FAILED)


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]
