"""docs/remotes.md as its readers follow it: its own commands, on remotes that are folders."""

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.e2e.project_copy import run
from tests.helpers import ROOT

pytestmark = pytest.mark.slow
ROW = "toy64.puppet.neural_codes"


def scripts() -> dict[str, list[str]]:
    """The page's blocks of commands, by heading."""
    found: dict[str, list[str]] = {}
    for part in re.split(r"^## ", (ROOT / "docs" / "remotes.md").read_text(), flags=re.MULTILINE)[1:]:
        heading, _, text = part.partition("\n")
        found[heading] = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    return found


class World:
    """A shared git repository, two remotes that are folders, and people who follow the page."""

    def __init__(self, folder: Path, project: Path) -> None:
        self.folder, self.project = folder, project
        self.remote, self.public, self.git = folder / "remote", folder / "public", folder / "faces.git"
        run("git", "clone", "--quiet", "--bare", str(project), str(self.git), cwd=folder)
        run("git", "remote", "add", "origin", str(self.git), cwd=project)
        run("git", "fetch", "--quiet", "origin", cwd=project)
        branch = run("git", "branch", "--show-current", cwd=project).strip()
        run("git", "branch", "--quiet", "--set-upstream-to", f"origin/{branch}", cwd=project)

    def follow(self, heading: str, number: int, cwd: Path) -> str:
        """Run one block of the page; returns all that it said."""
        env = {"PROJECT": str(self.git), "REMOTE": str(self.remote), "PUBLIC": str(self.public)}
        return run("bash", "-e", "-c", scripts()[heading][number], cwd=cwd, **env)

    def newcomer(self, name: str) -> Path:
        """Somebody's folder with the project cloned and nothing fetched."""
        home = self.folder / name
        home.mkdir()
        clone, *_ = scripts()["Take over"][0].splitlines()
        run("bash", "-e", "-c", clone, cwd=home, PROJECT=str(self.git))
        return home / "faces"


@pytest.fixture(scope="module")
def world(small_project, tmp_path_factory):
    """The small project, handed over as the page says."""
    made = World(tmp_path_factory.mktemp("remotes"), small_project)
    made.follow("Once", 0, small_project)
    assert "pushed" in made.follow("Hand over", 0, small_project)
    return made


def ran(output: str) -> list[str]:
    return re.findall(r"Running stage '(.*?)'", output)


def md5_of(project: Path, out: str) -> str:
    """What dvc.lock says of an output."""
    stages = YAML(typ="safe").load((project / "dvc.lock").read_text())["stages"]
    return next(o["md5"] for stage in stages.values() for o in stage["outs"] if o["path"] == out)


def holds(remote: Path, md5: str) -> bool:
    return (remote / "files" / "md5" / md5[:2] / md5[2:]).is_file()


def test_the_page_has_the_commands_that_this_file_follows():
    assert {heading: len(blocks) for heading, blocks in scripts().items()} == {
        "Once": 1, "Hand over": 2, "Take over": 3, "Trained models": 4, "What is not pushed": 1}  # fmt: skip


def test_a_clone_takes_everything_over_and_runs_nothing(world):
    home = world.folder / "colleague"
    home.mkdir()
    said = world.follow("Take over", 0, home)
    assert "fetched" in said
    assert "up to date" in said
    assert ran(said) == []
    for name in (f"data/models/{ROW}/weights.safetensors", "reports/small/index.html", "data/pairs.parquet"):
        assert (home / "faces" / name).read_bytes() == (world.project / name).read_bytes()
    assert ran(run("dvc", "repro", cwd=home / "faces")) == ["root"]
    assert "up to date" in run("dvc", "status", cwd=home / "faces")
    assert not (home / "faces" / "data" / "scratch").exists()


def test_what_is_not_here_counts_as_the_lock_says_and_only_what_a_stage_reads_is_fetched(world):
    clone = world.newcomer("passer-by")
    idle = scripts()["Take over"][0].splitlines()[-1]
    assert ran(run(*idle.split(), cwd=clone)) == []
    assert not list((clone / "data").rglob("*.safetensors"))
    said = world.follow("Take over", 1, clone)
    assert ran(said) == ["figures", "report"]
    assert (clone / "data" / "models" / ROW / "weights.safetensors").is_file()
    assert not (clone / "data" / "clips" / "train").exists()
    assert not list((clone / "data").rglob("*.mp4"))


def test_runs_of_others_are_taken_from_the_run_cache(world, reproduced):
    (command,) = scripts()["Take over"][2:]
    assert ran(run(*command.replace("--pull --allow-missing", "").split(), cwd=reproduced)) == ["figures"]
    assert "pushed" in world.follow("Hand over", 1, reproduced)
    clone = world.newcomer("experimenter")
    said = world.follow("Take over", 2, clone)
    assert ran(said) == []
    assert "Stage 'figures' is cached" in said
    name = f"reports/small/figures/{ROW}.png"
    assert (clone / name).read_bytes() == (reproduced / name).read_bytes()


def test_a_trained_model_travels_alone(world, reproduced):
    clone = world.newcomer("user")
    world.follow("Trained models", 0, clone)
    assert [p.name for p in (clone / "data" / "models").iterdir() if p.is_dir()] == [ROW]
    weights = (world.project / "data" / "models" / ROW / "weights.safetensors").read_bytes()
    elsewhere = world.folder / "elsewhere"
    elsewhere.mkdir()
    world.follow("Trained models", 1, elsewhere)
    assert (elsewhere / "model" / "weights.safetensors").read_bytes() == weights
    world.follow("Trained models", 2, reproduced)
    world.follow("Trained models", 3, elsewhere)
    assert (elsewhere / "selected" / "weights.safetensors").read_bytes() == weights


def test_a_public_remote_gets_the_stages_that_were_named(world, reproduced):
    world.follow("What is not pushed", 0, reproduced)
    assert holds(world.public, md5_of(reproduced, f"data/models/{ROW}"))
    for private in ("data/clips/eval", "data/clips/train", "data/heads", f"data/results/{ROW}"):
        md5 = md5_of(reproduced, private)
        assert holds(world.remote, md5), private
        assert not holds(world.public, md5), private


def test_scratch_and_tables_are_not_pushed(world):
    table = (world.project / "reports" / "small" / "tables" / "scores.csv").read_bytes()
    pushed = [path for path in (world.remote / "files").rglob("*") if path.is_file()]
    assert pushed
    assert not [path for path in pushed if path.stat().st_size == len(table) and path.read_bytes() == table]
    assert list((world.project / "data" / "scratch").rglob("*"))
    assert "data/scratch" not in (world.project / "dvc.lock").read_text()
