"""Whose pictures a scratch folder holds, so that they are found when somebody is to be forgotten.

Names stand there as hashes: they say who is shown to whoever knows the name, and to nobody else.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from pipeline.store.provenance import write_json

PEOPLE = "people.json"


def whole_video(video: str) -> str:
    """Name of the video that an utterance ("video/utterance") was cut from."""
    return video.split("/")[0]


def hidden_name(name: str) -> str:
    """Hash of a person's or a video's name, which makes a safe name of a file."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def name_people(folder: Path, names: Iterable[str]) -> None:
    """Write down whom a folder is about to show: people, and whole videos."""
    path = folder / PEOPLE
    if not path.exists():
        write_json(path, sorted(map(hidden_name, set(names))))


def may_show(folder: Path, name: str) -> bool:
    """Whether a folder shows a person or a video, or does not say whom it shows."""
    try:
        return hidden_name(name) in json.loads((folder / PEOPLE).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return True
