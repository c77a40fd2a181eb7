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
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from pipeline.store.provenance import write_json

FAILED = ".failed.json"
PARTIAL = ".partial"
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
    """Remove every piece and failure record of a person or a video, from the stores of every layout.

    Args:
        stores: the scratch folder (`pipeline.store.scratch_root.scratch_root`).
        name: of the person or the video.

    Returns:
        Number of files removed.
    """
    layouts = (stores, *stores.glob("layout*"))  # of the first, stores lie in the folder itself
    patterns = (f"*/*/{_hash(name)}/*", f"*/*/*/{_hash(name)}-*")
    found = {path for layout in layouts for pattern in patterns for path in layout.glob(pattern)}
    for file in found:
        file.unlink(missing_ok=True)
    return len(found)


def whole_video(video: str) -> str:
    """Name of the video that an utterance ("video/utterance") was cut from."""
    return video.split("/")[0]


def _record(path: Path) -> Path:
    return path.with_name(path.name + FAILED)


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]
