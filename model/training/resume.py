"""The states that a killed training run resumes from: the last few, each a file that says whether it is whole."""

import hashlib
import io
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from model.atomic import written_aside

KEPT = 3  # states
_NAME = re.compile(r"state-(\d{9})-([0-9a-f]{16})\.pt")


def warn(text: str) -> None:
    """Say on stderr what a run must not keep to itself."""
    sys.stderr.write(f"warning: {text}\n")


class CheckpointStore:
    """The newest training states in a scratch folder: `state-<step>-<first 16 digits of its SHA-256>.pt`.

    A state is written aside, brought to the disk and then renamed, and only after that do the oldest go: a kill, a
    full disk or a half-written file leave the states before as they were.

    Args (of the constructor):
        folder: of this run alone.
        kept: how many states stay.
        say: told when a state is passed over because it is damaged.
    """

    def __init__(self, folder: Path, kept: int = KEPT, say: Callable[[str], None] = warn) -> None:
        self.folder, self.kept, self.say = folder, kept, say

    def states(self) -> list[Path]:
        """Files of the states, newest first."""
        found = [path for path in self.folder.glob("state-*.pt") if _NAME.fullmatch(path.name)]
        return sorted(found, key=lambda path: (step_of(path), path.stat().st_mtime_ns), reverse=True)

    def save(self, state: Mapping[str, Any]) -> Path:
        """Keep a state, whose `step` is the number of steps done; return its file.

        Raises:
            RuntimeError: it cannot be written (a full disk); the states before are untouched.
        """
        step, buffer = int(state["step"]), io.BytesIO()
        torch.save(dict(state), buffer)
        content = buffer.getbuffer()
        path = self.folder / f"state-{step:09d}-{_digest(content)}.pt"
        try:
            with written_aside(path) as partial, partial.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            _sync(self.folder)
        except OSError as error:
            before = [step_of(older) for older in self.states()]
            left = f"the last good state is of step {before[0]}" if before else "there is no state before"
            raise RuntimeError(
                f"the state of step {step} cannot be kept in {self.folder} ({error.strerror}); {left}: make room or "
                "make it writable, then run it again to resume"
            ) from error
        for older in [other for other in self.states() if other != path][self.kept - 1 :]:
            older.unlink(missing_ok=True)
        return path

    def load(self) -> dict[str, Any] | None:
        """Return the newest state that is whole, on the CPU, or None where none was kept.

        Raises:
            RuntimeError: states are there, but none is whole.
        """
        damaged = []
        for path in self.states():
            if (state := _read(path)) is not None:
                if damaged:
                    self.say(f"{', '.join(damaged)} in {self.folder} damaged: going on from step {state['step']}")
                return state
            damaged.append(path.name)
        if damaged:
            raise RuntimeError(
                f"all states in {self.folder} are damaged ({', '.join(damaged)}): remove the folder to start again"
            )
        return None


def step_of(path: Path) -> int:
    """Steps behind a state, by its file's name."""
    return int(path.name.split("-")[1])


def _read(path: Path) -> dict[str, Any] | None:
    """Read a state; None where its bytes are not those that were written."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if f"-{_digest(content)}." not in path.name:
        return None
    state: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return state


def _digest(content: bytes | memoryview) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _sync(folder: Path) -> None:
    """Bring the folder's names to the disk as well."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
