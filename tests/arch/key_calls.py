"""Where keys are made: every call of `code_sha256`, found in the code."""

import ast
from functools import cache

from pipeline.method_table import METHODS
from pipeline.methods.registry import adapter_module
from pipeline.methods.teaching import teacher_module
from pipeline.store.closure import module_file
from tests.helpers import ROOT

# Classes that make the key of the module which a subclass of theirs lies in, and the modules of these.
BY_SUBCLASS = {
    "pipeline/trackers/face_reader.py": ("pipeline.trackers.deca", "pipeline.trackers.deep3d"),
    "pipeline/trackers/face_tracker.py": ("pipeline.trackers.deca", "pipeline.trackers.deep3d"),
}
# Stores whose pieces carry the code in their own names: who opens the store, who names the piece.
NAMED_PIECES = {
    "stages/crop.py": "pipeline/cropping/clip.py",
    "pipeline/landmarks/run.py": "pipeline/landmarks/video.py",
    "pipeline/bench/opening.py": "pipeline/metrics/readings.py",
}
OF_METHOD = {"adapter_module(method)": adapter_module, "teacher_module(method)": teacher_module}
NO_READINGS = "pipeline.metrics.backends.pixels"
SHARED_CODES = "pipeline.metrics.backends.head_codes"  # makes the key for the backends that read a head's codes


@cache
def calls(name: str) -> dict[str, list[ast.Call]]:
    """Calls of a function by the files that they stand in, the function's own file left out."""
    found: dict[str, list[ast.Call]] = {}
    for path in sorted(path for folder in ("model", "pipeline", "stages") for path in (ROOT / folder).rglob("*.py")):
        own = path.relative_to(ROOT).as_posix()
        if own in ("pipeline/store/closure.py", "pipeline/store/scratch_root.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            called = node.func if isinstance(node, ast.Call) else None
            if getattr(called, "id", getattr(called, "attr", "")) == name:
                found.setdefault(own, []).append(node)
    return found


def keys() -> dict[tuple[str, ...], str]:
    """The modules of every key, and a file that makes it."""
    found = {}
    for file, made in calls("code_sha256").items():
        for call in made:
            modules = tuple(arg.value for arg in call.args if isinstance(arg, ast.Constant))
            if len(modules) == len(call.args):
                found[modules] = file
            elif {ast.unparse(arg) for arg in call.args} & OF_METHOD.keys():
                of_method = [OF_METHOD[said] for arg in call.args if (said := ast.unparse(arg)) in OF_METHOD]
                for method in METHODS:
                    named = (*modules, *(module(method) for module in of_method))
                    found |= {named: file} if all(module_file(name) for name in named) else {}
            else:
                assert ast.unparse(call.args[0]) == "type(self).__module__", f"{file}: say what this key is of"
                found |= {(module,): file for module in BY_SUBCLASS[file]}
    return found
