"""A process that sees no more packages than a bare machine with PyTorch's own image has, and what is brought along."""

import os
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path

from tests.helpers import ROOT

BROUGHT = ("pydantic", "pydantic-core", "annotated-types", "typing-inspection", "ruamel.yaml")
HOOK = '''
"""Runs at the start of every process: packages that the machine lacks are found among those brought along, or not."""
import sys
from importlib.machinery import PathFinder

ABSENT = {
    "annotated_types", "av", "bokeh", "dask", "decord", "distributed", "dvc", "face_alignment", "insightface",
    "pydantic", "pydantic_core", "ruamel", "torch_fidelity", "typing_inspection",
}


class Bare:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in ABSENT:
            return None
        brought = [place for place in (path or sys.path) if "/site" in place and "site-packages" not in place]
        found = PathFinder.find_spec(name, brought) if brought else None
        if found is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return found


sys.meta_path.insert(0, Bare())
'''


def write_wheels(folder: Path) -> None:
    """Wheels of what is brought, made of what is installed here."""
    folder.mkdir(parents=True)
    for name in BROUGHT:
        found = distribution(name)
        with zipfile.ZipFile(folder / f"{name}-{found.version}-none-any.whl", "w") as wheel:
            for file in found.files or ():
                if file.suffix != ".pyc" and not file.as_posix().startswith(".."):
                    wheel.write(str(file.locate()), file.as_posix())


def run_bare(folder: Path, *arguments: str, beside: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `python -m ...` in the project; FOLDER gets the hook, `beside` is a folder of unpacked wheels."""
    hook = folder / "hook"
    hook.mkdir(exist_ok=True)
    (hook / "sitecustomize.py").write_text(HOOK)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, filter(None, (hook, beside)))), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
