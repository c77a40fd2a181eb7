"""What of a PWM model's own record (`pipeline.training.run.row_provenance`) says whether it is the row of today."""

from collections.abc import Mapping
from typing import Any

from model.pwm.config import complete_generator, keys_that_count
from pipeline.params.networks import parted


def comparable(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """What of `row_provenance`, of today or in a trained model's own record, the row depends on.

    A record from before `networks` has all of it in `recipe`, and is parted here as params.yaml was. A key that a
    record lacks counts as what every model of its time had (`model.pwm.config.GENERATOR_BEFORE`), so an old model is
    still seen as one of today's parameters where they ask for just that. Keys that nothing reads with the row's
    guidance are left out (`model.pwm.config.KEYS_OF_PART`): a row of displacements is the same whatever is said of
    NMFC.
    """
    (recipe, moved), guidance = parted(provenance["recipe"]), provenance["guidance"]
    network = {**moved, **provenance.get("network", {})}
    sections = {"generator": complete_generator(network["generator"]), "guidance": network["guidance"]}
    counting = {name: keys_that_count(section, guidance) for name, section in sections.items()}
    return {**provenance, "recipe": recipe, "network": {**network, **counting}}
