"""How commands end: one message a mistake, and a status that says whose it was."""

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
