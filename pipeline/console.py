"""What the commands say: one clear message for a user's mistake, progress for long work."""

import errno
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any, TypeVar

import typer

Item = TypeVar("Item")
USER_ERRORS = (
    ValueError, RuntimeError, KeyError, EOFError,
    FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError,
)  # fmt: skip
NO_ROOM = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EROFS,
)  # which is the machine's matter, and no mistake of ours


class Stopped(Exception):
    """A run whose results must not count, through no mistake in what it was asked; ends with exit code 1."""


def stage_command(function: Callable[..., None]) -> Callable[..., None]:
    """Make a function a command: mistakes of the user, and a disk without room, end in one message and exit code 2.

    `Stopped` ends in exit code 1.

    Set `PWM_TRACEBACK=1` to see the traceback as well.
    """

    @wraps(function)
    def command(*args: Any, **kwargs: Any) -> None:
        try:
            function(*args, **kwargs)
        except Stopped as stop:
            typer.secho(f"error: {stop}", err=True, fg="red")
            raise typer.Exit(1) from None
        except USER_ERRORS as error:
            if os.environ.get("PWM_TRACEBACK"):
                raise
            text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
            typer.secho(f"error: {text or type(error).__name__}", err=True, fg="red")
            raise typer.Exit(2) from None
        except OSError as error:
            if error.errno not in NO_ROOM or os.environ.get("PWM_TRACEBACK"):
                raise
            what = f"{error.filename or 'a file'} cannot be written ({error.strerror})"
            typer.secho(f"error: {what}: make room or make it writable, then run it again", err=True, fg="red")
            raise typer.Exit(2) from None

    return command


def run_command(function: Callable[..., None]) -> None:
    """Run one stage function as a command-line program."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(stage_command(function))
    app()


def say(text: str) -> None:
    """Write one line of progress or summary to stderr (stdout is for results)."""
    typer.echo(text, err=True)


def track(items: Iterable[Item], label: str, total: int, *, every_seconds: float = 10.0) -> Iterator[Item]:
    """Yield items while showing progress: a bar on a terminal, a plain line now and then elsewhere."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import track as rich_track

        yield from rich_track(items, description=label, total=total, console=Console(stderr=True), transient=True)
        return
    started = shown = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - shown >= every_seconds:
            shown = now
            say(f"{label}: {done}/{total}, {done / (now - started):.1f}/s")
    say(f"{label}: {total} done in {time.monotonic() - started:.1f} s")
