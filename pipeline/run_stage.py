"""Run a stage's script: its code must not change while it runs, and what it keeps must have a place."""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

from pipeline.console import Stopped, run_command, say
from pipeline.store import closure
from pipeline.store.closure import SourceTree
from pipeline.store.scratch_root import check_scratch, earlier_layouts

_SHOWN = 5


def run_stage(function: Callable[..., None], *, outs: Sequence[str], scratch: bool = False) -> None:
    """Run the function of a stage's script as its command.

    Args:
        function: the command, in `stages/<stage>.py`.
        outs: names of its parameters that are files or folders which it writes.
        scratch: whether it keeps finished pieces between kills.
    """
    stage = Path(function.__code__.co_filename).stem

    @wraps(function)
    def command(**arguments: Any) -> None:
        if scratch:
            check_scratch()
            if old := earlier_layouts():
                found = " ".join(map(str, old))
                say(f"{stage}: finished pieces of an earlier layout are not used; remove them with `rm -r {found}`")
        with unchanged_code(stage, [arguments[name] for name in outs]):
            function(**arguments)

    run_command(command)


@contextmanager
def unchanged_code(stage: str, outs: Sequence[Path], tree: SourceTree | None = None) -> Iterator[None]:
    """Take a stage's code at the start and compare it at the end.

    DVC hashes the code when a stage has ended, so it would lock results of the old code under the hash of the new one.
    Where the code changed meanwhile, what was written since the start goes; finished pieces stay, under the key of the
    code that made them.

    Args:
        stage: its name below `stages`.
        outs: files and folders that it writes. What lay there before, and was not written again, stays.
        tree: the sources; those of this process unless given.

    Raises:
        Stopped: the code changed; the message names the files.
    """
    tree = tree or closure.TREE
    module = f"stages.{stage}"
    tree.whole_sha256()  # reads every file, so that keys and workers are held to the code that runs from here on
    files = tree.closure(module, plugins=True)
    before = _written(outs)
    yield
    # At the very end rather than before publishing: the window in which DVC could see other code is the smallest.
    if changed := _changed(tree, module, files):
        for path in [path for path, state in _written(outs).items() if before.get(path) != state]:
            path.unlink()
        _remove_empty(outs)
        names = [path.relative_to(tree.root).as_posix() for path in changed]
        shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if names[_SHOWN:] else "")
        raise Stopped(
            f"the code of stage {stage} changed while it ran: {shown}; its outputs were removed, finished pieces are "
            "kept: run it again"
        )


def _changed(tree: SourceTree, module: str, files: Sequence[Path]) -> list[Path]:
    """Files of a closure that are other than they were, gone or new."""
    other = [path for path in files if not path.is_file() or path.read_bytes() != tree.bytes_of(path)]
    return other or sorted(set(SourceTree(tree.root).closure(module, plugins=True)) ^ set(files))


def _written(outs: Iterable[Path]) -> dict[Path, tuple[int, ...]]:
    """Every file of the outputs, with what tells one writing from another."""
    files = [path for out in outs for path in (out.rglob("*") if out.is_dir() else [out]) if path.is_file()]
    states = {path: os.stat(path) for path in files}
    return {path: (state.st_ino, state.st_size, state.st_mtime_ns) for path, state in states.items()}


def _remove_empty(outs: Iterable[Path]) -> None:
    for out in outs:
        if out.is_dir() and not any(path.is_file() for path in out.rglob("*")):
            shutil.rmtree(out)
