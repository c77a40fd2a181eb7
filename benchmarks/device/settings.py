"""Parameters of the reference runs: those of a profile, with puppets in the place of what the machine may not have."""

from dataclasses import dataclass
from pathlib import Path

from model.pwm.config import GUIDANCE_PARTS
from model.pwm.output import OUTPUTS
from pipeline.method_table import BASELINES, OURS
from pipeline.params.recipe import Recipe
from pipeline.params.sections.base import Section
from pipeline.params.sections.pwm import PwmSection
from pipeline.params.tree import Params, load_params

HEAD, SECOND = "puppet", "puppet_face"
COMBINED = "geom_disp+neural_codes"  # the guidance of the row with the second head
PUPPETS = {  # of every section's `perceptual`: no weights but those that the project ships
    "backbone": "puppet_tracker",
    "weights": "pipeline/puppets/assets/tracker.safetensors",
    "blocks": 5,
}
# What an output asks of its generator (model/pwm/output.py).
ASKED = {"paper": {"last_disp": "upsampled", "image_gain": 1.0}}


@dataclass(frozen=True, order=True)
class Run:
    """A row of the reference table: of the PWM a guidance with an output, or a published system.

    Attributes:
        method: `pwm` or a published system.
        guidance, output: of the PWM; empty for others.
        second: whether a PWM row is driven by the second head.
    """

    method: str
    guidance: str = ""
    output: str = ""
    second: bool = False

    @classmethod
    def named(cls, name: str) -> "Run":
        """Read `guidance/output`, `guidance@second/output` or the name of a published system.

        Raises:
            ValueError: there is no such run; the message lists what there is.
        """
        found = {run.name: run for run in ALL}
        if name not in found:
            raise ValueError(f"there is no run {name!r}: there are {', '.join(found)}")
        return found[name]

    @property
    def name(self) -> str:
        """As it was asked for."""
        return f"{self.guidance}{'@second' * self.second}/{self.output}" if self.method == OURS else self.method

    @property
    def folder(self) -> str:
        """A name for its files."""
        return self.name.replace("/", ".").replace("@", ".")

    def head(self, params: Params) -> str:
        """Name of the head whose fits it is trained with."""
        if self.method == OURS:
            return params.bench.head2 if self.second else params.bench.head
        return params.head_of(of_run(params, self)[1])


# The twelve rows of Table 1, ours with both outputs.
ALL = [
    *(Run(OURS, guidance, output) for guidance in GUIDANCE_PARTS for output in OUTPUTS),
    *(Run(OURS, COMBINED, output, second=True) for output in OUTPUTS),
    *(Run(system) for system in BASELINES),
]


def of_puppets(profile: Path, out: Path, perceptual: bool = True, **changes: object) -> Path:
    """Write a parameter file like `profile` whose heads and, if asked, perceptual losses are the puppets'.

    Args:
        profile: its recipe and its networks are taken.
        out: the file.
        perceptual: whether perceptual losses look through the puppet tracker; else they stay the profile's.
        changes: of `recipes.RECIPE`.
    """
    from ruamel.yaml import YAML

    yaml = YAML()
    tree = yaml.load(profile.read_text(encoding="utf-8"))
    name = tree["bench"]["recipe"]
    tree["bench"].update(head=HEAD, head2=SECOND, baselines=["official"])
    tree["model"].update(recipe=name, head=HEAD)
    tree["data"].update(root=".", heads="pipeline/puppets/assets")
    tree["fit"].update(tracker="puppet_tracker", second_tracker="puppet_tracker")
    tree["recipes"][name].update(changes)
    if perceptual:
        for section in filter(None, tree["networks"][name].values()):
            section["perceptual"].update(PUPPETS)
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", encoding="utf-8") as stream:
        yaml.dump(tree, stream)
    load_params(out)  # refuses what cannot be
    return out


def of_run(params: Params, run: Run) -> tuple[Recipe, Section]:
    """Recipe and section of a run.

    Raises:
        ValueError: the profile does not train it.
    """
    name = params.bench.recipe
    section = params.networks[name].of(run.method)
    if section is None:
        raise ValueError(f"run {run.name} is not trained by recipe {name}: networks.{name}.{run.method} is null")
    if isinstance(section, PwmSection):
        section = with_output(section, run.output)
    return params.recipes[name], section


def pwm_of_run(params: Params, run: Run) -> tuple[Recipe, PwmSection]:
    """The same of a run of ours."""
    name = params.bench.recipe
    return params.recipes[name], with_output(params.networks[name].pwm, run.output)


def with_output(section: PwmSection, output: str) -> PwmSection:
    """Our section with another output, and with what that asks of its generator."""
    generator = section.generator.model_dump() | {"output": output} | ASKED.get(output, {})
    return section.model_copy(update={"generator": type(section.generator)(**generator)})
