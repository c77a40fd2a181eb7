"""What each stage depends on: the rooms that its imports reach; `python -m tests.arch.stage_deps` writes dvc.yaml.

Adapters and networks of methods are found by name (`pipeline.methods.registry`), so that no import leads to them: a
stage that runs one method depends on that method's rooms, and one that runs them all on all.
"""

import re
from pathlib import Path

from ruamel.yaml import YAML

from pipeline.method_table import BASELINES, METHODS, OURS
from pipeline.methods.registry import ADAPTERS, adapter_module
from pipeline.methods.teaching import teacher_module
from pipeline.store.closure import closure, module_file
from tests.helpers import ROOT

CODE = re.compile(r"^(model|pipeline|stages)(/(\w+|\$\{(?:item|key)[.\w]*\}))+(\.py)?$")
FOLDERS_OF_METHODS = ("model/baselines", "pipeline/adapters")  # rooms of one method each lie in them
# Stages that run methods: which, and what dvc.yaml writes for the rooms of one (`figures` runs all of them at once).
OF_METHODS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "train": ((OURS,), ("model/pwm", "pipeline/adapters/pwm")),
    "baseline": (tuple(BASELINES), ("model/baselines/${key}", "pipeline/adapters/${key}")),
    "evaluate": (METHODS, ("model/${item.network}", "pipeline/adapters/${item.adapter}")),
    "figures": (METHODS, ("model/baselines", "model/pwm", "pipeline/adapters")),
}
# Stages that read plug-in tables for what stands beside the names, and open nothing.
TABLES_READ = {"weights": ("pipeline/instrument_table.py",)}


def opens_plugins(stage: str) -> bool:
    """Whether a stage opens what plug-in tables name."""
    return stage not in TABLES_READ


def room(path: Path) -> str:
    """What a stage names for a file: the folder below model or pipeline that it lies in, else the file itself."""
    parts = path.relative_to(ROOT).parts
    depth = 3 if "/".join(parts[:2]) in FOLDERS_OF_METHODS and len(parts) > 3 else 2
    return "/".join(parts[:depth]) if len(parts) > 2 else "/".join(parts)


def rooms_of(method: str) -> set[str]:
    """The rooms that are a method's own."""
    return {f"pipeline/adapters/{method}", f"model/baselines/{method}" if method in BASELINES else f"model/{method}"}


def reached(stage: str, method: str | None = None) -> set[str]:
    """Rooms that `stages/<stage>.py` reaches, itself included, and those that it reaches with a method."""
    modules = [f"stages.{stage}"]
    if method:
        more = {
            "train": (teacher_module(method),),
            "baseline": (teacher_module(method), f"{ADAPTERS}.{method}.release"),
        }
        modules += [adapter_module(method), *filter(module_file, more.get(stage, ()))]
    files = {room(path) for path in closure(*modules, plugins=opens_plugins(stage))}
    return files.union(TABLES_READ.get(stage, ())) - set(FOLDERS_OF_METHODS)


def rooms(stage: str) -> list[str]:
    """What dvc.yaml names for a stage's code, sorted."""
    methods, named = OF_METHODS.get(stage, ((None,), ()))
    found = set[str]().union(*(reached(stage, method) for method in methods))
    own = set[str]().union(*(rooms_of(method) for method in methods if method))
    inside = {name for name in found if any(name.startswith(f"{folder}/") for folder in named)}
    return sorted((found - own - inside) | set(named))


def resolved(dependency: str, method: str) -> str:
    """A dependency on code as it reads for one method."""
    network = f"baselines/{method}" if method in BASELINES else method
    for name, value in (("${item.adapter}", method), ("${item.network}", network), ("${key}", method)):
        dependency = dependency.replace(name, value)
    return dependency


def is_code(dependency: str) -> bool:
    """Whether a dependency is a room or a module, and no data."""
    return bool(CODE.match(dependency)) and not dependency.endswith("/assets")


def stage_script(command: str) -> str:
    """Name of the script that a stage's command runs."""
    return re.search(r"-m stages\.(\w+)", command).group(1)


def main() -> None:
    """Write every stage's code dependencies into dvc.yaml, data dependencies first."""
    yaml = YAML()
    yaml.width = 110
    path = ROOT / "dvc.yaml"
    tree = yaml.load(path.read_text())
    for stage in tree["stages"].values():
        body = stage.get("do", stage)
        code = rooms(stage_script(body["cmd"]))
        data = [
            d for d in body.get("deps", []) if not is_code(str(d)) and not any(str(d).startswith(f"{c}/") for c in code)
        ]
        body["deps"] = data + code
    with path.open("w") as stream:
        yaml.dump(tree, stream)


if __name__ == "__main__":
    main()
