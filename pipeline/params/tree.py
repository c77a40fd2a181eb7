"""params.yaml as a typed tree: every number that changes a result stands there, none in code."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, Field, PositiveInt, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.params.data import CropParams, DataParams, PairParams
from pipeline.params.fitting import FitParams
from pipeline.params.networks import Networks, check_places
from pipeline.params.puppets import PuppetParams
from pipeline.params.recipe import Recipe
from pipeline.params.reports import EvaluateParams, MetricParams, ReportParams
from pipeline.params.sections.base import Section
from pipeline.params.strict import Strict

Guidance = Literal["geom_disp", "neural_codes", "nmfc", "geom_disp+neural_codes"]


class ParamsError(ValueError):
    """params.yaml says something that cannot be; the message names the file, the key and the remedy."""


class RowParams(Strict):
    """The row under study: it picks the headline metrics and adds its row to every table."""

    recipe: str
    head: str
    guidance: Guidance


class BenchParams(Strict):
    """What the fixed rows of the tables are made of."""

    name: str  # folder below reports/
    recipe: str  # a key of `recipes`
    head: str
    head2: str  # a real second head: drives the last row and measures Table 3
    corpora: list[str]  # procedural corpora to render; empty where videos are given
    baselines: list[str]  # where published systems come from, a row each: official, and/or bench.recipe
    own_crops: bool  # whether official systems are run in a crop of their own as well, where they have one
    seeds: PositiveInt  # how often each PWM row is trained: by its recipe's seed, seed + 1, ...
    own: dict[str, str]  # rows of users' own methods -> hash of their frames; `pwm score` writes it

    @model_validator(mode="after")
    def two_heads(self) -> "BenchParams":
        """Table 3 compares two heads, so they must differ."""
        if self.head == self.head2:
            raise ValueError(f"bench.head2 must be another head than bench.head, both are {self.head!r}")
        return self

    @model_validator(mode="after")
    def sources_exist(self) -> "BenchParams":
        """Systems that are trained here share the recipe of the rows that they are compared with."""
        known = ("official", self.recipe)
        if wrong := [source for source in self.baselines if source not in known]:
            raise ValueError(
                f"bench.baselines: {wrong[0]!r} is neither official (released weights) nor bench.recipe "
                f"({self.recipe}; trained here like the rows they are compared with)"
            )
        if len(set(self.baselines)) < len(self.baselines):
            raise ValueError(f"bench.baselines: a source is named twice: {', '.join(self.baselines)}")
        return self


class DaskParams(Strict):
    """Where crop and fit work. No result depends on it, so no stage of the graph does either."""

    scheduler: str | None = Field(
        pattern=r"^[a-z]+://\S+$"
    )  # address of a running scheduler; null works on this machine


class Params(Strict):
    """The whole of params.yaml."""

    model: RowParams
    bench: BenchParams
    data: DataParams
    dask: DaskParams
    crop: CropParams
    fit: FitParams
    pairs: PairParams
    recipes: dict[str, Recipe]
    networks: dict[str, Networks]  # of every recipe
    evaluate: EvaluateParams
    metrics: MetricParams
    report: ReportParams
    puppets: PuppetParams

    def fit_of(self, head: str) -> FitParams:
        """Section `fit` as it holds for one head: its `tracker` is that head's.

        Raises:
            ValueError: the benchmark has no such head.
        """
        trackers = {self.bench.head: self.fit.tracker, self.bench.head2: self.fit.second_tracker}
        if head not in trackers:
            raise ValueError(f"head {head!r} is not fitted here: bench has {' and '.join(trackers)}")
        return self.fit.model_copy(update={"tracker": trackers[head]})

    def head_of(self, section: Section) -> str:
        """Name of the head that a published system is trained with."""
        head: str = getattr(self.bench, section.fitted_with)
        return head

    @model_validator(mode="before")
    @classmethod
    def nothing_stands_where_it_was(cls, raw: Any) -> Any:
        """Keys that moved are refused with their new names before anything else is said."""
        if isinstance(raw, Mapping):
            check_places(raw.get("recipes"))
        return raw

    @model_validator(mode="after")
    def recipes_are_whole(self) -> "Params":
        """Each recipe has its networks, and networks stand under no other name."""
        alone = [f"recipes.{name} has no networks.{name}" for name in self.recipes if name not in self.networks]
        alone += [f"networks.{name} has no recipes.{name}" for name in self.networks if name not in self.recipes]
        if alone:
            raise ValueError(f"{', '.join(alone)}: every recipe stands in both")
        return self

    @model_validator(mode="after")
    def names_exist(self) -> "Params":
        """Recipes and heads that rows name must be there."""
        for where, recipe in (("model.recipe", self.model.recipe), ("bench.recipe", self.bench.recipe)):
            if recipe not in self.recipes:
                raise ValueError(f"{where}: there is no recipe {recipe!r}; recipes has {', '.join(self.recipes)}")
        heads = (self.bench.head, self.bench.head2)
        if self.model.head not in heads:
            raise ValueError(f"model.head: {self.model.head!r} is not fitted here; bench has {' and '.join(heads)}")
        if "." not in self.report.reference and self.report.reference not in get_args(Guidance):
            raise ValueError(
                f"report.reference: {self.report.reference!r} is neither a guidance ({', '.join(get_args(Guidance))}) "
                "nor a row's key (recipe.head.guidance)"
            )
        return self


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check a parameter file (YAML 1.2, as DVC reads it).

    Raises:
        ParamsError: the file is missing, is not YAML, or holds a wrong key or value.
    """
    if not Path(path).exists():
        raise ParamsError(f"there is no parameter file {path}: copy one of profiles/*.yaml to params.yaml")
    try:
        raw = YAML(typ="safe").load(Path(path).read_text(encoding="utf-8-sig"))
    except YAMLError as error:
        raise ParamsError(f"{path} is not YAML: {error}") from error
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        raise ParamsError(_explain(path, error)) from None


def _explain(path: Path, error: ValidationError) -> str:
    return "; ".join(f"{path}: {_explain_one(e)}" for e in error.errors(include_url=False))


def _explain_one(error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(error["loc"][-1]), _known_keys(Params), n=1)
        return f"unknown key {key!r}" + (f", did you mean {near[0]!r}?" if near else "")
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    shown = f" (it is {error['input']!r})" if error["type"] != "missing" else ""
    return f"{key}: {error['msg']}{shown}"


def _known_keys(model: type[BaseModel]) -> list[str]:
    """Names of all fields of a model and of the models within it."""
    keys: list[str] = []
    for name, field in model.model_fields.items():
        keys.append(name)
        for inner in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                keys += _known_keys(inner)
    return keys
