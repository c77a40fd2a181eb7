"""What the footer says of training again: what the intervals hold of it, and what a study of this profile found."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.params.networks import Networks
from pipeline.params.recipe import Recipe

SHORT = 12


def study_file(reference: Path, bench: str) -> Path:
    """Where `python -m benchmarks.seeds` puts its study of a profile."""
    return reference / f"seeds-{bench}.json"


def training_line(num_seeds: int, reference: Path, bench: str, recipes: Mapping[str, Any]) -> str:
    """One line under every table.

    Args:
        num_seeds: how many seeds our rows were trained with.
        reference: the folder of studies, `reports/reference`.
        bench: `bench.name`.
        recipes: all recipes, as `made_by` gives them; a study of another recipe than these says so.
    """
    if num_seeds > 1:
        return (
            f"Rows of ours are means over {num_seeds} seeds; their intervals include the variance of {num_seeds} "
            "trainings. Contact sheets and curves show the first seed."
        )
    said = (
        "Intervals of our rows hold for these trained weights, not for training again: another seed, or another "
        "processor, gives other numbers, and rows may differ by more than their intervals for that alone."
    )
    file = study_file(reference, bench)
    if not file.exists():
        return (
            f"{said} How much is not known for this profile: `python -m benchmarks.seeds` finds out, and `bench.seeds` "
            "above 1 puts it into the intervals."
        )
    return f"{said} {study_sentence(json.loads(file.read_text()), file.with_suffix('.md').name, recipes)}"


def study_sentence(study: Mapping[str, Any], name: str, recipes: Mapping[str, Any]) -> str:
    """What a study found, in one sentence."""
    found = study["sd_over_half_interval"]
    other = [key for key, recipe in study["recipes"].items() if recipes.get(key) != recipe]
    which = f", of recipe {', '.join(other)} as it was then" if other else ""
    return (
        f"A study of {study['seeds']} seeds of {len(study['rows'])} rows ({name} in reports/reference, commit "
        f"{study['commit'][:SHORT]}{which}): between seeds a cell's standard deviation is {found['least']:.2f} to "
        f"{found['most']:.2f} of half its interval over people, median {found['median']:.2f}."
    )


def made_by(recipes: Mapping[str, Recipe], networks: Mapping[str, Networks]) -> dict[str, Any]:
    """All recipes as a study records them: each in one piece with the PWM's own part; the seed is none of it."""
    found = {name: recipe.recorded() | networks[name].pwm.model_dump(mode="json") for name, recipe in recipes.items()}
    return {name: {key: value for key, value in made.items() if key != "seed"} for name, made in found.items()}
