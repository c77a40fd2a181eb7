"""Whether models are what the current version would make, by what they themselves say they were made from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from model.heads.head import HeadModel, load_head
from model.method.files import check_head, load_weights, read_config
from pipeline.adapters.pwm.record import comparable
from pipeline.adoption.agree import agree, agree_settings
from pipeline.method_table import OURS
from pipeline.methods.published import ROWS, read_rows
from pipeline.methods.registry import adapter_named
from pipeline.methods.release import OFFICIAL
from pipeline.params.recipe import Recipe
from pipeline.params.sections.base import Section
from pipeline.params.tree import Params
from pipeline.published.models import Workshop
from pipeline.released.normalised import facts_in, load_released
from pipeline.report.rows import Row
from pipeline.store.assets import require
from pipeline.store.seeds import further_seeds, seed_folder
from pipeline.training.inputs import TrainInputs
from pipeline.training.run import row_provenance


def check_row(params: Params, row: Row, data: Path) -> None:
    """Refuse a trained PWM row that is not what `train` would make now, of all the seeds that are asked for.

    Raises:
        FileNotFoundError, ValueError: a model is missing, or another; the message says where and what.
    """
    _check_seeds(params, _Trained(OURS, row.key, row.guidance, row.recipe, row.head, data), data / "models" / row.key)


def check_published(params: Params, system: str, data: Path) -> None:
    """Refuse models of a published system that are not what `baseline` would make now.

    Raises:
        AssetRefused: the imported file of its release is not the one on record.
        FileNotFoundError, ValueError: a model is missing, or another; the message says where and what.
    """
    folder = data / "models" / system
    rows = Workshop(params, data).rows(system)
    agree(str(folder / ROWS), "rows", read_rows(folder), rows)
    for source in dict.fromkeys(
        row.source for row in rows if not row.absent
    ):  # a row in its own crop has the same model
        if source == OFFICIAL:
            _check_released(folder / source, system)
        else:
            section = params.networks[source].of(system)
            assert section is not None  # as it has a row
            trained = _Trained(system, f"{source}.{system}", "", source, params.head_of(section), data)
            _check_seeds(params, trained, folder / source)


def _check_released(folder: Path, system: str) -> None:
    weights = require(system)
    config, network = _filled(folder, None)
    agree(str(folder), "release", config["provenance"], facts_in(weights))
    found, wanted = network.state_dict(), load_released(system, weights).state_dict()
    if other := [name for name, value in found.items() if not value.equal(wanted[name])]:
        raise ValueError(f"{folder}: its {other[0]} is not that of the imported file, nor are {len(other) - 1} others")


@dataclass(frozen=True)
class _Trained:
    """A training, as it would be asked for now."""

    method: str
    row: str
    guidance: str
    recipe: str
    head: str
    data: Path

    @property
    def inputs(self) -> TrainInputs:
        return TrainInputs.of(self.data, self.head)

    def record(self, provenance: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
        """What of a model's record tells it from others; `before` as of `completed`."""
        return comparable(provenance) if self.method == OURS else completed(provenance, before)


def completed(provenance: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a published system that is trained here, with the sizes that it is older than.

    Args:
        provenance: the record (`pipeline.training.run.row_provenance`).
        before: those sizes as they were then (`BEFORE` of the network's config).
    """
    section = provenance["network"]
    return {**provenance, "network": {**section, "generator": {**before, **section["generator"]}}}


def _check_seeds(params: Params, trained: _Trained, folder: Path) -> None:
    recipe, section = params.recipes[trained.recipe], params.networks[trained.recipe].of(trained.method)
    assert section is not None  # only what can be trained is asked about
    head, seeds = load_head(trained.inputs.head), recipe.seeds(params.bench.seeds)
    for seed in seeds:
        _check_model(seed_folder(folder, seed, seeds[0]), trained, recipe.of_seed(seed), section, head)
        if seed == seeds[0]:  # what is in the row's own folder says why it is another before its further seeds do
            agree(str(folder), "further seeds (bench.seeds)", further_seeds(folder), seeds[1:])


def _check_model(folder: Path, trained: _Trained, recipe: Recipe, section: Section, head: HeadModel) -> None:
    config, network = _filled(folder, head)
    agree(str(folder), "step", config["step"], recipe.iterations)
    before = getattr(getattr(network, "config", None), "BEFORE", {})
    made_from = trained.record(config["provenance"], before)
    now = row_provenance(trained.row, trained.guidance, recipe, section, trained.inputs, head)
    wanted = trained.record(now, {})
    section_key = f"networks.{trained.recipe}.{trained.method}"
    for part, place in (("recipe", f"recipes.{trained.recipe}"), ("network", section_key)):
        agree_settings(str(folder), place, made_from.pop(part), wanted.pop(part))
    for name, value in wanted.items():
        agree(str(folder), name, made_from.get(name), value)
    if not (folder / "curve.csv").is_file():
        raise FileNotFoundError(f"there is no training curve in {folder}")


def _filled(folder: Path, head: HeadModel | None) -> tuple[dict[str, Any], nn.Module]:
    """The config.json and the network, with its weights, of a model whose files belong together.

    Raises:
        FileNotFoundError, ValueError: they are missing, or do not.
    """
    config = read_config(folder)
    if head is not None:
        check_head(folder, config, head)
    network = adapter_named(config["method"]).build(config, head)
    load_weights(folder, network)
    return config, network
