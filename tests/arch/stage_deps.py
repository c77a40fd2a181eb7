"""What each stage depends on: the rooms that its imports reach; `python -m tests.arch.stage_deps` writes dvc.yaml."""

import re
from pathlib import Path

from ruamel.yaml import YAML

from pipeline.store.closure import closure
from tests.helpers import ROOT

CODE = re.compile(r"^(model|pipeline|stages)(/\w+)+(\.py)?$")


def room(path: Path) -> str:
    """What a stage names for a file: the folder below model or pipeline that it lies in, else the file itself."""
    parts = path.relative_to(ROOT).parts
    return "/".join(parts[:2]) if len(parts) > 2 else "/".join(parts)


def rooms(stage: str) -> list[str]:
    """Rooms that `stages/<stage>.py` reaches, itself included, sorted."""
    return sorted({room(path) for path in closure(f"stages.{stage}", plugins=True)})


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
