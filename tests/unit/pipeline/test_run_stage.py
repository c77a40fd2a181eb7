"""A stage whose code changes while it runs: its outputs go, whatever else lay there stays, and the file is named."""

import pytest

from pipeline.console import Stopped
from pipeline.run_stage import unchanged_code
from pipeline.store.closure import SourceTree

FILES = {
    "stages/cut.py": "def run():\n    from pipeline.cutting.cut import cut",
    "pipeline/cutting/cut.py": "from pipeline.cutting import table",
    "pipeline/cutting/table.py": 'T = {"saw": "pipeline.cutting.saw:Saw"}',
    "pipeline/cutting/saw.py": "",
    "pipeline/gluing/glue.py": "",
}


@pytest.fixture
def tree(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return SourceTree(tmp_path)


def stop_after(tree, outs, work):
    """Run `work` as the stage; returns what it was stopped with, "" if it was not."""
    try:
        with unchanged_code("cut", outs, tree):
            work()
    except Stopped as stop:
        return str(stop)
    return ""


@pytest.mark.parametrize("name", ["stages/cut.py", "pipeline/cutting/cut.py", "pipeline/cutting/saw.py"])
def test_an_edit_of_what_the_stage_reaches_takes_its_outputs_back(tree, name):
    out, table = tree.root / "out", tree.root / "table.parquet"

    def work():
        (out / "deep").mkdir(parents=True)
        (out / "deep" / "clip").write_text("made")
        table.write_text("made")
        (tree.root / name).write_text(FILES[name] + "\n# edited")

    message = stop_after(tree, [out, table], work)
    assert f"stage cut changed while it ran: {name};" in message
    assert not out.exists()
    assert not table.exists()


def test_without_an_edit_or_with_one_elsewhere_outputs_stay(tree):
    out = tree.root / "out"

    def work():
        out.write_text("made")
        (tree.root / "pipeline" / "gluing" / "glue.py").write_text("X = 1")
        (tree.root / "pipeline" / "cutting" / "cut.py").touch()

    assert stop_after(tree, [out], work) == ""
    assert out.read_text() == "made"


def test_what_lay_in_the_folder_before_stays(tree):
    out = tree.root / "out"
    out.mkdir()
    (out / "mine").write_text("given")
    (out / "scores").write_text("old")

    def work():
        (out / "scores").write_text("new")
        (tree.root / "stages" / "cut.py").unlink()

    assert "stages/cut.py" in stop_after(tree, [out], work)
    assert [path.name for path in out.iterdir()] == ["mine"]


def test_a_new_init_of_a_room_is_a_change(tree):
    new = tree.root / "pipeline" / "cutting" / "__init__.py"
    assert "pipeline/cutting/__init__.py" in stop_after(tree, [], lambda: new.write_text("import os"))


def test_a_mistake_of_the_user_is_not_hidden_by_a_change(tree):
    def work():
        (tree.root / "stages" / "cut.py").write_text("")
        raise ValueError("no such head")

    with pytest.raises(ValueError, match="no such head"):
        stop_after(tree, [], work)
