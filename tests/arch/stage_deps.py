"""Which of our modules a stage reaches, read from its imports; `python -m tests.arch.stage_deps` writes dvc.yaml.

Function-level imports count, and so do the "module:Class" texts of the plug-in tables. Left out are the
modules that only declare parameters or talk to the terminal: DVC tracks the parameters' values.
"""

import ast
import re
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
OURS = ("model", "pipeline", "stages")
PLUGIN = re.compile(r"^((?:model|pipeline)[\w.]*):\w+$")
DECLARE_ONLY = {"pipeline.params.tree", "pipeline.params.recipe", "pipeline.console",
                "pipeline.params.data", "pipeline.params.fitting",
                "pipeline.params.reports", "pipeline.params.puppets", "pipeline.options"}  # fmt: skip


def module_file(module: str) -> Path | None:
    """File of one of our modules, or None where the name is a class or function in a module."""
    base = ROOT.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.exists():
            return path
    return None


def imports_of(path: Path) -> set[str]:
    """Names of our modules that a file imports anywhere, or names in a plug-in table."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and (m := PLUGIN.match(node.value)):
            found.add(m.group(1))
    return {name for name in found if name.split(".")[0] in OURS and module_file(name)}


def closure(stage: str) -> list[str]:
    """Files below the root that `stages/<stage>.py` reaches, itself included, sorted."""
    seen: set[str] = set()
    waiting = [f"stages.{stage}"]
    while waiting:
        module = waiting.pop()
        if module in seen or module in DECLARE_ONLY:
            continue
        seen.add(module)
        waiting += imports_of(module_file(module))
    files = {module_file(m).relative_to(ROOT).as_posix() for m in seen}
    return sorted(
        f for f in files if (ROOT / f).stat().st_size and not f.startswith(("pipeline/__init__", "stages/__init__"))
    )


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
        data = [d for d in body.get("deps", []) if not str(d).endswith(".py")]
        body["deps"] = data + closure(stage_script(body["cmd"]))
    with path.open("w") as stream:
        yaml.dump(tree, stream)


if __name__ == "__main__":
    main()
