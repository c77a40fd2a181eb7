"""What the footer says of the model: by what its parameters differ from the paper's."""

from collections.abc import Iterable, Mapping

from pipeline.params.networks import Networks
from pipeline.params.recipe import Recipe
from pipeline.params.sections.pwm import PwmSection
from pipeline.report.rows import Row

# All that the paper states of a recipe and its network (sections 3.3 and 3.4, supplementary 1). What it leaves open is
# no difference.
PAPER: dict[str, object] = {
    "image_px": 256,
    "iterations": 270_000,
    "learning_rate.generator": 2e-4,
    "learning_rate.discriminator": 2e-4,
    "learning_rate.codes": 2e-4,
    "learning_rate.drop_steps": [80_000, 160_000],
    "learning_rate.drop_factor": 0.1,
    "generator levels": 5,
    "generator.output": "paper",
    "generator.disp_refines": False,
    "discriminator.scales": 3,
    "losses.perceptual_scales": 3,
    "losses.pixel": 0.0,
    "losses.warped": 1.0,
    "perceptual network": "vgg19",
    "perceptual.blocks": 5,
    "guidance.code_dim": 16,
    "augment.colour": 0.0,
    "augment.shift_ndc": 0.0,
    "augment.log_scale": 0.0,
}


def model_lines(recipes: Mapping[str, Recipe], networks: Mapping[str, Networks], rows: Iterable[Row]) -> list[str]:
    """One line for each recipe that a row of ours is trained by, in the order of the rows."""
    lines = []
    for name in dict.fromkeys(row.recipe for row in rows if row.recipe):
        found = differences(recipes[name], networks[name].pwm)
        said = (
            "differs from the paper's in " + ", ".join(found)
            if found
            else "is the paper's in all that the paper states"
        )
        lines.append(f"Model of recipe {name}: {said}; what the paper leaves open: docs/deviations.md.")
    return lines


def differences(recipe: Recipe, network: PwmSection) -> list[str]:
    """`key value (the paper's value)` for all of `PAPER` that the two have otherwise."""
    stated = _stated(recipe, network)
    return [f"{key} {stated[key]} ({paper})" for key, paper in PAPER.items() if stated[key] != paper]


def _stated(recipe: Recipe, network: PwmSection) -> dict[str, object]:
    """The values that the two have for the keys of `PAPER`."""
    sections = recipe.model_dump() | network.model_dump()
    backbone = network.perceptual.backbone
    stated: dict[str, object] = {
        "generator levels": len(network.generator.channels),
        "perceptual network": "vgg19" if backbone.startswith("vgg19") else backbone,
    }
    for key in PAPER.keys() - stated.keys():
        section, _, name = key.rpartition(".")
        stated[key] = (sections[section] if section else sections)[name]
    return stated
