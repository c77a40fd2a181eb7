"""Which assets each stage uses under the current parameters, and their hashes, in one small file a consumer.

DVC watches these files in place of the assets folder: importing a release changes the files of those who use it.
"""

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from pipeline.heads.table import asset_of
from pipeline.instrument_table import INSTRUMENTS
from pipeline.method_table import BASELINES, OURS
from pipeline.methods.published import sources_of
from pipeline.methods.release import OFFICIAL
from pipeline.params.data import FACES_SOUGHT
from pipeline.params.tree import Params
from pipeline.store.assets import asset_meant, recorded_sha256
from pipeline.store.provenance import write_json

SHIPPED = Path("pipeline/puppets/assets")  # what lies here is a dependency of its stages by itself


def used_assets(params: Params) -> dict[str, list[str]]:
    """List the assets that each consumer uses.

    Args:
        params: all parameters; those that are read stand in dvc.yaml under the stage `weights`.

    Returns:
        Consumer -> sorted names of assets. Consumers are `heads`, `fit.HEAD` of both heads, `train.RECIPE` of the
        recipes that rows name, `baseline.SYSTEM` of the published systems, `landmarks`, and `metrics`: what measures,
        in `evaluate@...` as in `controls`.

    Raises:
        ValueError: a perceptual network's weights are neither an asset's name nor shipped with the project.
    """
    heads, recipes = (params.bench.head, params.bench.head2), (params.bench.recipe, params.model.recipe)
    folder = params.data.root_folder() / params.data.heads
    used = {"heads": {asset for head in heads if (asset := asset_of(head, folder))}}
    used |= {f"fit.{head}": set(INSTRUMENTS[params.fit_of(head).tracker].weights) for head in heads}
    for system in BASELINES:
        sources = sources_of(system, params.bench.baselines, params.bench.recipe)
        each = [{system} if source == OFFICIAL else _perceptual(params, source, system) for source in sources]
        used[f"baseline.{system}"] = set[str]().union(*each)
    used |= {f"train.{recipe}": _perceptual(params, recipe, OURS) for recipe in recipes}
    sought = any(source.kind == FACES_SOUGHT for source in params.data.sources().values())
    used["landmarks"] = set(INSTRUMENTS["mesh"].weights) if sought else set()
    used["metrics"] = {name for backend in _texts(params.metrics) for name in INSTRUMENTS[backend].weights}
    return {consumer: sorted(names) for consumer, names in used.items()}


def write_weights(params: Params, out: Path) -> None:
    """Write `out`/<consumer>.json: the sha256 of each asset that it uses, null where that is not imported.

    Raises:
        AssetRefused: a file in the assets folder is not the one on record; nothing is written.
        ValueError: see `used_assets`.
    """
    found = {
        consumer: {name: recorded_sha256(name) for name in names} for consumer, names in used_assets(params).items()
    }
    for consumer, hashes in found.items():
        write_json(out / f"{consumer}.json", hashes)
    for other in set(out.glob("*.json")) - {out / f"{consumer}.json" for consumer in found}:
        other.unlink()


def _perceptual(params: Params, recipe: str, method: str) -> set[str]:
    """The asset behind a method's perceptual loss; none where it is shipped, or the method is not trained here."""
    section = params.networks[recipe].of(method)
    if section is None:
        return set()
    weights = section.perceptual.weights
    if name := asset_meant(weights):
        return {name}
    if not Path(weights).is_relative_to(SHIPPED):
        raise ValueError(
            f"networks.{recipe}.{method}.perceptual.weights: DVC does not watch {weights!r}: import the file "
            "with `pwm assets import NAME FILE` and write the asset's name here, such as vgg19, or name a file in "
            f"{SHIPPED}"
        )
    return set()


def _texts(section: BaseModel) -> Iterator[str]:
    """Every text in a section: in `metrics` they are names of backends, one or several a key."""
    waiting = [section.model_dump(mode="json")]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif value is not None:  # a metric without a column
            waiting += list(value.values() if isinstance(value, dict) else value)
