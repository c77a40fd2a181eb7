"""Parameters of the reference runs: those of a profile, with puppets in the place of what the machine may not have."""

from dataclasses import dataclass
from pathlib import Path

from model.pwm.config import GUIDANCE_PARTS
from model.pwm.output import OUTPUTS
from pipeline.params.recipe import Recipe
from pipeline.params.sections.pwm import PwmSection
from pipeline.params.tree import Params, load_params

HEAD = "puppet"
PUPPETS = {  # of networks.RECIPE.pwm: no weights but those that the project ships
    "backbone": "puppet_tracker",
    "weights": "pipeline/puppets/assets/tracker.safetensors",
    "blocks": 5,
}
# What an output asks of its generator (model/pwm/output.py).
ASKED = {"paper": {"last_disp": "upsampled", "image_gain": 1.0}}


@dataclass(frozen=True, order=True)
class Run:
    """A row of the reference table: guidance and output."""

    guidance: str
    output: str

    @classmethod
    def named(cls, name: str) -> "Run":
        """Read `guidance/output`.

        Raises:
            ValueError: there is no such guidance or output; the message lists them.
        """
        guidance, _, output = name.partition("/")
        if guidance not in GUIDANCE_PARTS or output not in OUTPUTS:
            raise ValueError(
                f"run {name!r} is not GUIDANCE/OUTPUT: guidance is one of {', '.join(GUIDANCE_PARTS)}, "
                f"output one of {', '.join(OUTPUTS)}"
            )
        return cls(guidance, output)

    @property
    def name(self) -> str:
        """As it was asked for."""
        return f"{self.guidance}/{self.output}"

    @property
    def folder(self) -> str:
        """A name for its files."""
        return f"{self.guidance}.{self.output}"


ALL = [Run(guidance, output) for guidance in GUIDANCE_PARTS for output in OUTPUTS]


def of_puppets(profile: Path, out: Path, perceptual: bool = True, **changes: object) -> Path:
    """Write a parameter file like `profile` whose heads and, if asked, perceptual loss are the puppets'.

    Args:
        profile: its recipe and its PWM are taken.
        out: the file.
        perceptual: whether the perceptual loss looks through the puppet tracker; else it stays the profile's.
        changes: of `recipes.RECIPE`.
    """
    from ruamel.yaml import YAML

    yaml = YAML()
    tree = yaml.load(profile.read_text(encoding="utf-8"))
    name = tree["bench"]["recipe"]
    tree["bench"].update(head=HEAD, head2="puppet_face", baselines=["official"])
    tree["model"].update(recipe=name, head=HEAD)
    tree["data"].update(root=".", heads="pipeline/puppets/assets")
    tree["fit"].update(tracker="puppet_tracker", second_tracker="puppet_tracker")
    tree["recipes"][name].update(changes)
    if perceptual:
        tree["networks"][name]["pwm"]["perceptual"].update(PUPPETS)
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", encoding="utf-8") as stream:
        yaml.dump(tree, stream)
    load_params(out)  # refuses what cannot be
    return out


def of_run(params: Params, run: Run) -> tuple[Recipe, PwmSection]:
    """Recipe and network of a run."""
    name = params.bench.recipe
    section = params.networks[name].pwm
    generator = section.generator.model_dump() | {"output": run.output} | ASKED.get(run.output, {})
    return params.recipes[name], section.model_copy(update={"generator": type(section.generator)(**generator)})
