"""What runs again when a module changes: the stages that name its room, and of their pieces those that reach it."""

from pathlib import Path

from ruamel.yaml import YAML

from pipeline.method_table import OURS
from pipeline.methods.registry import ADAPTERS
from pipeline.store.closure import SourceTree
from tests.arch.key_calls import keys
from tests.arch.stage_deps import OF_METHODS, opens_plugins, resolved, room, stage_script
from tests.helpers import ROOT

# What no stage runs: commands of users and what they fetch, how the shipped networks were made, and what only declares
# or talks.
NO_STAGE = (
    "pipeline/cli.py", "pipeline/console.py", "pipeline/options.py", "pipeline/run_stage.py",
    "pipeline/reading.py", "pipeline/assets.py", "pipeline/method_table.py",
    "pipeline/params", "pipeline/tools", "pipeline/adoption", "pipeline/fetching", "pipeline/puppet_training",
    "pipeline/watching", "pipeline/model_card",
)  # fmt: skip


def modules() -> list[Path]:
    """Every module of model and pipeline but the packages' own files."""
    files = [path for layer in ("model", "pipeline") for path in (ROOT / layer).rglob("*.py")]
    return sorted(path for path in files if path.name != "__init__.py")


def stages_naming() -> dict[str, set[str]]:
    """Room -> scripts of the stages that name it."""
    found: dict[str, set[str]] = {}
    for stage in YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"].values():
        body = stage.get("do", stage)
        script = stage_script(body["cmd"])
        for dep in body["deps"]:
            for method in OF_METHODS.get(script, ((OURS,), ()))[0]:
                found.setdefault(resolved(str(dep), method), set()).add(script)
    return found


def naming_of(naming: dict[str, set[str]], path: Path) -> set[str]:
    """Scripts of the stages that name a file's room, or a folder that the room lies in."""
    name = room(path)
    return naming.get(name, set()) | naming.get(name.rpartition("/")[0], set())


def runs(script: str, modules: tuple[str, ...]) -> bool:
    """Whether a stage runs the method whose adapter is among the modules of a key; yes where none is."""
    methods = {name.split(".")[2] for name in modules if name.startswith(f"{ADAPTERS}.")}
    return methods <= set(OF_METHODS.get(script, ((), ()))[0])


def test_a_stage_runs_when_the_code_of_its_pieces_changes():
    """Else DVC would skip the stage, and outputs of old code would stand under a new key.

    Prints what an edit of each module costs (`pytest -s`): stages that run, and kinds of pieces that are made anew.
    """
    tree, naming = SourceTree(ROOT), stages_naming()
    scripts = {script for stages in naming.values() for script in stages}
    reached_by = {script: set(tree.closure(f"stages.{script}", plugins=opens_plugins(script))) for script in scripts}
    pieces = {made: (ROOT / file, set(tree.closure(*made, plugins=False))) for made, file in keys().items()}
    lines = []
    for path in modules():
        stages = naming_of(naming, path)
        anew = sorted(" ".join(name.removeprefix("pipeline.") for name in made)
                      for made, (_, reached) in pieces.items() if path in reached)  # fmt: skip
        for made, (maker, reached) in pieces.items():
            users = {script for script in scripts if maker in reached_by[script] and runs(script, made)}
            assert path not in reached or users <= stages, f"{path}: {users - stages} use pieces of {made}"
        name = path.relative_to(ROOT).as_posix()
        assert stages or name.startswith(NO_STAGE), f"no stage names the room of {name}"
        lines.append(f"{name:48} {', '.join(sorted(stages)) or '-':70} {'; '.join(anew) or '-'}")
    print("\n".join(lines))  # noqa: T201


def test_an_edit_of_a_report_trains_fits_and_crops_nothing():
    naming = stages_naming()
    for name in ("pipeline/report", "pipeline/metrics", "pipeline/bench"):
        assert naming[name].isdisjoint({"train", "fit", "crop", "videos"}), name
