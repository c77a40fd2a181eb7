"""Writing aside and renaming: readers find the old file or the whole new one, whatever happens to the writer."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from model.atomic import ABANDONED_S, PARTIAL, written_aside
from tests.helpers import ROOT


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def interrupted(path, work):
    with written_aside(path) as partial:
        work(partial)
        raise KeyboardInterrupt


@pytest.mark.parametrize("old", [None, "old"])
def test_the_old_file_stays_until_the_block_ends(tmp_path, old):
    path = tmp_path / "new folder" / "file[1].txt"
    if old:
        path.parent.mkdir()
        path.write_text(old)
    with written_aside(path) as partial:
        partial.write_text("new")
        assert (path.read_text() if path.exists() else None) == old
    assert path.read_text() == "new"
    assert names(path.parent) == ["file[1].txt"]


def test_a_block_that_fails_changes_nothing(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        interrupted(path, lambda partial: partial.write_text("half of the ne"))
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file.txt"]


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), written_aside(tmp_path / "file.txt"):
        pass


def test_writers_at_once_never_mix(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("a" * 10_000)

    def write(letter):
        for _ in range(20):
            with written_aside(path) as partial, partial.open("w") as stream:
                for _ in range(100):
                    stream.write(letter * 100)
                    stream.flush()

    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(write, letter) for letter in "abcd"]
        while not all(writer.done() for writer in writers):
            found = path.read_text()
            assert found == found[0] * 10_000
        for writer in writers:
            writer.result()
    assert names(tmp_path) == ["file.txt"]


def test_a_killed_writer_leaves_the_old_file_and_later_nothing(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom model.atomic import written_aside\n"
        "with written_aside(Path(sys.argv[1])) as partial:\n"
        "    partial.write_text('half')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT).returncode == -9
    assert path.read_text() == "old"
    (left,) = (name for name in names(tmp_path) if name.endswith(PARTIAL))
    with written_aside(path) as partial:
        partial.write_text("new")
    assert left in names(tmp_path)  # it may still be in the works
    os.utime(tmp_path / left, (time.time() - ABANDONED_S - 60,) * 2)
    with written_aside(path) as partial:
        partial.write_text("newer")
    assert names(tmp_path) == ["file.txt"]


def test_a_folder_is_exchanged_whole(tmp_path):
    folder = tmp_path / "folder"
    for number in range(2):
        with written_aside(folder) as partial:
            partial.mkdir()
            (partial / f"{number}.txt").write_text(str(number))
        assert names(folder) == [f"{number}.txt"]
    with pytest.raises(KeyboardInterrupt):
        interrupted(folder, lambda partial: (partial / "in it").mkdir(parents=True))
    assert names(folder) == ["1.txt"]
    assert names(tmp_path) == ["folder"]
