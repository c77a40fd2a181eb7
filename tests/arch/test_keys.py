"""Every key of a finished piece, a reading, a checkpoint or a video is found in the code and changes with it."""

import ast
import inspect
import json
import subprocess
import sys
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from pipeline.metrics.registry import BACKENDS
from pipeline.store.closure import DECLARE_ONLY, DOORS, KEEPING, PLUGIN_TABLES, SourceTree
from pipeline.trackers.table import TRACKERS
from tests.arch.key_calls import NAMED_PIECES, NO_READINGS, SHARED_CODES, calls, keys
from tests.arch.stage_deps import opens_plugins
from tests.helpers import ROOT

KEYS = sorted(keys())


class Edited(SourceTree):
    """This project with one more byte in some files; what they import is read once for all."""

    def __init__(self, base: SourceTree, edited: frozenset[Path]) -> None:
        super().__init__(base.root)
        self._imports, self.base, self.edited = base._imports, base, edited

    def bytes_of(self, path: Path) -> bytes:
        return self.base.bytes_of(path) + b"#" * (path in self.edited)


@pytest.fixture(scope="module")
def tree():
    return SourceTree(ROOT)


def test_the_keys_that_there_must_be_are_found():
    wanted = {
        "pipeline.puppets.video",
        "pipeline.cropping.clip",
        "pipeline.fitting.task",
        "pipeline.tools.utterance",
        "pipeline.training.run",
        "pipeline.metrics.readings",
        "pipeline.trackers.fan",
    }
    wanted |= {target.split(":")[0] for target in TRACKERS.values()}
    backends = {target.split(":")[0] for target in BACKENDS.values()} - {NO_READINGS}
    wanted |= {SHARED_CODES if name == "pipeline.metrics.backends.trackers" else name for name in backends}
    assert wanted <= {module for modules in KEYS for module in modules}


def test_every_store_is_named_by_code():
    for file in calls("scratch_dir"):
        assert NAMED_PIECES.get(file, file) in calls("code_sha256"), f"{file}: what lies there has no code in its key"


@pytest.mark.parametrize("stage", sorted(path.stem for path in (ROOT / "stages").glob("[a-z]*.py")))
def test_every_stage_guards_its_outputs_and_says_whether_it_keeps_pieces(stage, tree):
    (call,) = calls("run_stage")[f"stages/{stage}.py"]
    given = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
    main = import_module(f"stages.{stage}").main
    assert given["outs"]
    assert set(given["outs"]) <= set(inspect.signature(main).parameters)
    reached = {
        path.relative_to(ROOT).as_posix() for path in tree.closure(f"stages.{stage}", plugins=opens_plugins(stage))
    }
    assert given.get("scratch", False) == bool(reached & set(calls("scratch_dir")))


def test_a_file_that_makes_a_key_is_of_it():
    """Else an edit of what is done with a piece on its way to scratch would not make it anew."""
    for modules, file in keys().items():
        if file != "pipeline/fitting/run.py":  # it names the pieces that its workers make
            reached = {path.relative_to(ROOT).as_posix() for path in SourceTree(ROOT).closure(*modules, plugins=False)}
            assert file in reached, f"{file} makes the key of {modules}"


@pytest.mark.parametrize("modules", KEYS, ids=" ".join)
def test_each_file_of_the_closure_changes_the_key_and_no_other_does(modules, tree):
    before, reached = tree.code_sha256(*modules), tree.closure(*modules, plugins=False)
    for path in reached:
        assert Edited(tree, frozenset([path])).code_sha256(*modules) != before, path
    others = {path for folder in ("model", "pipeline", "stages") for path in (ROOT / folder).rglob("*.py")}
    assert Edited(tree, frozenset(others) - set(reached)).code_sha256(*modules) == before


def test_what_a_key_leaves_alone(tree):
    """Finished pieces outlive edits of how work is spread, published, reported or compared."""

    def reached(module: str) -> set[str]:
        return {path.relative_to(ROOT).as_posix() for path in tree.closure(module, plugins=False)}

    for module in ("pipeline.fitting.task", "pipeline.cropping.clip", "pipeline.tools.utterance"):
        assert "pipeline/work/dask_run.py" not in reached(module)
    assert reached("pipeline.fitting.task").isdisjoint({"pipeline/fitting/report.py", "pipeline/fitting/run.py"})
    assert reached("pipeline.puppets.video").isdisjoint(
        {"pipeline/puppets/corpus.py", "pipeline/puppets/annotations.py"}
    )
    assert reached("pipeline.training.run").isdisjoint({"pipeline/training/row.py", "model/trackers/deca.py"})
    assert not [path for path in reached("pipeline.trackers.deca") if "deep3d" in path]
    for modules in KEYS:
        files = set().union(*(reached(module) for module in modules))
        assert files.isdisjoint({"pipeline/report/rows.py", "pipeline/assets.py", "pipeline/trackers/table.py"})


LOADED = """
import importlib, json, sys
loaded = {}
for name in sys.argv[1:]:
    for old in [m for m in sys.modules if m.split(".")[0] in ("model", "pipeline")]:
        del sys.modules[old]
    importlib.import_module(name)
    loaded[name] = [m for m in sys.modules if m.split(".")[0] in ("model", "pipeline")]
print(json.dumps(loaded))
"""


def test_what_python_loads_is_in_the_closure(tree):
    """An independent reading of the imports: Python's own."""
    names = sorted({module for modules in KEYS for module in modules})
    done = subprocess.run([sys.executable, "-c", LOADED, *names], cwd=ROOT, capture_output=True, text=True, check=True)
    left_out = (*DECLARE_ONLY, *DOORS, *KEEPING, *PLUGIN_TABLES)
    for name, loaded in json.loads(done.stdout).items():
        reached = set(tree.closure(name, plugins=False))
        for module in loaded:
            if module in ("model", "pipeline") or any(f"{module}.".startswith(f"{left}.") for left in left_out):
                continue
            file = tree.module_file(module)
            assert file is None or file in reached or _only_for_what_is_left_out(module, loaded), (name, module)


def _only_for_what_is_left_out(module: str, loaded: list[str]) -> bool:
    """Whether a module was loaded although nothing in the closure imports it: parameters and assets load some."""
    importers = [other for other in loaded if module in _imports(other)]
    left_out = (*DECLARE_ONLY, *DOORS, *KEEPING)
    return all(any(f"{other}.".startswith(f"{left}.") for left in left_out) for other in importers)


@cache
def _imports(module: str) -> set[str]:
    path = SourceTree(ROOT).module_file(module)
    nodes = ast.walk(ast.parse(path.read_text())) if path else []
    return {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
