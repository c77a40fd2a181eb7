"""What each method has of its own under each recipe (`networks.<recipe>.<method>` in params.yaml).

What all methods share is the recipe's (`pipeline.params.recipe`). A row is trained by the two together, and depends on
no other method's section.
"""

from collections.abc import Mapping
from typing import Any

from pipeline.params.sections.base import Section
from pipeline.params.sections.bilayer import BiLayerSection
from pipeline.params.sections.fomm import FommSection
from pipeline.params.sections.fomm3d import Fomm3dSection
from pipeline.params.sections.headgan import HeadGanSection
from pipeline.params.sections.lsr import LsrSection
from pipeline.params.sections.pirender import PIRenderSection
from pipeline.params.sections.pwm import PwmSection
from pipeline.params.sections.x2face import X2FaceSection
from pipeline.params.strict import Strict


class Networks(Strict):
    """The sections of all methods, one field a method, typed by its section; null where a recipe does not train it."""

    pwm: PwmSection
    x2face: X2FaceSection | None
    bilayer: BiLayerSection | None
    lsr: LsrSection | None
    fomm: FommSection | None
    fomm3d: Fomm3dSection | None
    headgan: HeadGanSection | None
    pirender: PIRenderSection | None

    def of(self, method: str) -> Section | None:
        """The section of a method; None where the recipe does not train it."""
        return getattr(self, method, None)

    def needing_parts(self) -> list[str]:
        """Methods whose lessons learn from part labels."""
        sections = {name: getattr(self, name) for name in type(self).model_fields}
        return [name for name, section in sections.items() if section is not None and section.needs_parts]


def parted(recipe: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part a recipe that may still be in one piece, as it was before `networks` had a part of it.

    Returns:
        What is the recipe's, and what now stands in `PwmSection`.
    """
    own = PwmSection.model_fields
    return ({k: v for k, v in recipe.items() if k not in own}, {k: v for k, v in recipe.items() if k in own})


def check_places(recipes: Any) -> None:
    """Refuse keys of recipes that stand in `networks` now.

    Args:
        recipes: what params.yaml has under `recipes`, as it was read.

    Raises:
        ValueError: there are such keys; the message has each with the name that it has now.
    """
    found = recipes.items() if isinstance(recipes, Mapping) else ()
    old = [(name, key) for name, recipe in found if isinstance(recipe, Mapping) for key in parted(recipe)[1]]
    if old:
        moves = (f"recipes.{name}.{key} now stands in networks.{name}.pwm.{key}" for name, key in old)
        raise ValueError(f"{', '.join(moves)}: move {'it' if len(old) == 1 else 'them'}")
