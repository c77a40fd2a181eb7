"""How commands end: one message a mistake, and a status that says whose it was."""

import errno
from pathlib import Path

import pytest
import typer

from pipeline.console import Stopped, stage_command


@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError("bad value"), 2), (EOFError("Ran out of input"), 2), (KeyError("no key"), 2), (Stopped("changed"), 1)],
)
def test_an_error_is_one_line_and_a_status(error, status, capsys):
    """EOFError too: click takes it for a user who has gone, and says `Aborted.`."""

    def command() -> None:
        raise error

    with pytest.raises(typer.Exit) as caught:
        stage_command(command)()
    assert caught.value.exit_code == status
    assert capsys.readouterr().err == f"error: {error.args[0]}\n"


@pytest.mark.parametrize("named", [True, False])
def test_a_disk_without_room_is_no_traceback(named, capsys):
    def command() -> None:
        if named:
            raise OSError(errno.EROFS, "Read-only file system", "data/models/config.json")
        Path("/dev/full").write_text("much")

    with pytest.raises(typer.Exit) as caught:
        stage_command(command)()
    assert caught.value.exit_code == 2
    wanted = "data/models/config.json cannot be written (Read-only" if named else "a file cannot be written (No space"
    said = capsys.readouterr().err
    assert said.startswith(f"error: {wanted}")
    assert said.count("\n") == 1


def test_another_error_of_the_system_keeps_its_traceback():
    def command() -> None:
        raise OSError(errno.EBADF, "Bad file descriptor")

    with pytest.raises(OSError, match="Bad file"):
        stage_command(command)()
