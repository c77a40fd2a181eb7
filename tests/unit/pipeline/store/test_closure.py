"""The import closure of a module, and the key that is made of it, on small trees of modules."""

import pytest

from pipeline.store import closure as closure_module
from pipeline.store.closure import SourceTree, closure, code_sha256, module_file
from tests.helpers import ROOT

FILES = {
    "model/__init__.py": "import model.frame",
    "model/frame/__init__.py": "from model.frame import tables",
    "model/frame/coords.py": "import numpy as np\nimport json",
    "model/frame/tables.py": "",
    "model/lonely.py": "",
    "pipeline/__init__.py": "import pipeline.unused",
    "pipeline/assets.py": "import pipeline.unused",
    "pipeline/unused.py": "",
    "pipeline/params/fitting.py": "from pipeline import unused",
    "pipeline/store/closure.py": "from pipeline import unused",
    "pipeline/store/__init__.py": "",
    "pipeline/store/tables.py": "from .columns import column",
    "pipeline/store/columns.py": "from ..work.ledger import LedgerRow",
    "pipeline/work/ledger.py": "",
    "pipeline/trackers/table.py": 'T = {"puppet": "pipeline.trackers.puppet:Puppet", "no": "see pipeline.unused:X"}',
    "pipeline/trackers/puppet.py": "from pipeline.params.fitting import FitParams\nimport torch.nn.functional as F",
    "pipeline/row.py": (
        "def train():\n    from model.frame.coords import px\n    from pipeline.store.closure import key"
    ),
    "pipeline/fit.py": "from pipeline.trackers.table import T\nfrom pipeline.assets import ASSETS\nimport safetensors",
}


@pytest.fixture
def root(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def reached(root, *modules, plugins=False):
    return {path.relative_to(root).as_posix() for path in SourceTree(root).closure(*modules, plugins=plugins)}


def key(root, *modules, **options):
    return SourceTree(root).code_sha256(*modules, **options)


def test_imports_inside_functions_and_the_rooms_above_count(root):
    assert reached(root, "pipeline.row") == {
        "pipeline/row.py",
        "model/frame/coords.py",
        "model/frame/__init__.py",
        "model/frame/tables.py",  # the room's own import
    }


def test_relative_imports_count(root):
    found = {"pipeline/store/__init__.py", "pipeline/store/tables.py", "pipeline/store/columns.py"}
    assert reached(root, "pipeline.store.tables") == found | {"pipeline/work/ledger.py"}


def test_parameters_doors_and_the_making_of_keys_are_left_out_with_what_they_reach(root):
    for module in ("pipeline.row", "pipeline.fit", "pipeline.trackers.puppet"):
        assert "pipeline/unused.py" not in reached(root, module)
    assert reached(root, "pipeline.trackers.puppet") == {"pipeline/trackers/puppet.py"}


def test_plug_ins_count_for_a_stage_and_not_for_a_key(root):
    assert reached(root, "pipeline.fit") == {"pipeline/fit.py"}
    whole = {"pipeline/fit.py", "pipeline/trackers/table.py", "pipeline/trackers/puppet.py"}
    assert reached(root, "pipeline.fit", plugins=True) == whole


def test_a_name_that_is_no_module_or_is_always_left_out_is_refused(root):
    for name in ("pipeline.rwo", "numpy", "pipeline.row.train"):
        with pytest.raises(ModuleNotFoundError, match=name):
            key(root, name)
    with pytest.raises(ValueError, match=r"pipeline\.params\.fitting is left out"):
        key(root, "pipeline.params.fitting")


def test_a_key_changes_with_each_file_of_the_closure_and_no_other(root):
    for path in sorted(root.rglob("*.py")):
        before, text = key(root, "pipeline.row"), path.read_text()
        path.write_text(text + "\n")
        name = path.relative_to(root).as_posix()
        assert (key(root, "pipeline.row") != before) == (name in reached(root, "pipeline.row")), name
        path.write_text(text)


def test_an_added_import_is_in_the_closure(root):
    before = key(root, "pipeline.row")
    (root / "pipeline" / "row.py").write_text(FILES["pipeline/row.py"] + "\n    import model.lonely\n")
    grown = key(root, "pipeline.row")
    assert grown != before
    assert "model/lonely.py" in reached(root, "pipeline.row")
    (root / "model" / "lonely.py").write_text("X = 1")
    assert key(root, "pipeline.row") not in (before, grown)


def test_a_moved_file_is_another_file(root):
    before = key(root, "model.lonely")
    (root / "model" / "lonely.py").rename(root / "model" / "moved.py")
    assert key(root, "model.moved") != before


def test_versions_of_imported_libraries_are_in_the_key(root, monkeypatch):
    versions = {"numpy": "1", "torch": "1", "safetensors": "1", "onnxruntime": "1"}
    monkeypatch.setattr(closure_module, "_version", versions.get)
    row, puppet, fit = (key(root, f"pipeline.{name}") for name in ("row", "trackers.puppet", "fit"))
    through = key(root, "pipeline.fit", through=("onnxruntime",))
    versions.update(torch="2", safetensors="2", onnxruntime="2")
    assert key(root, "pipeline.row") == row
    assert key(root, "pipeline.trackers.puppet") != puppet
    assert key(root, "pipeline.fit") == fit  # safetensors moves bytes
    assert key(root, "pipeline.fit", through=("onnxruntime",)) not in (fit, through)


def test_the_installed_versions_are_found():
    tree = SourceTree(ROOT)
    found = tree.libraries(tree.closure("pipeline.cropping.clip", plugins=False))
    assert {"cv2", "numpy", "PIL", "av"} <= found.keys()
    assert all(found[name] for name in ("cv2", "numpy", "PIL"))
    assert "json" not in found


def test_a_process_holds_to_the_files_that_it_saw_first(root):
    tree = SourceTree(root)
    whole, row = tree.whole_sha256(), tree.code_sha256("pipeline.row")
    (root / "pipeline" / "row.py").write_text("X = 1")
    (root / "model" / "frame" / "coords.py").unlink()
    assert tree.whole_sha256() == whole
    assert tree.code_sha256("pipeline.row") == row
    assert tree.code_sha256("model.frame.coords") == tree.code_sha256("model.frame.coords")
    assert SourceTree(root).whole_sha256() != whole


def test_this_project_is_the_tree_of_the_functions():
    assert module_file("pipeline.store.schema") == ROOT / "pipeline" / "store" / "schema.py"
    assert module_file("pipeline.store.schema.write_table") is None
    assert closure("pipeline.store.schema", plugins=False) == SourceTree(ROOT).closure(
        "pipeline.store.schema", plugins=False
    )
    assert code_sha256("pipeline.store.schema") == SourceTree(ROOT).code_sha256("pipeline.store.schema")
