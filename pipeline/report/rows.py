"""The row list: every line of Tables 1-3, once, in the paper's order.

A PWM row is keyed `recipe.head.guidance`, which is also its DVC stage and its folder below
`data/models` and `data/results`. The row that `model.*` names is one more key of the same list and
collapses into a fixed row when it repeats one, so no model is trained or scored twice.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Protocol

from pipeline.bench.tasks import CONTROL_TASKS, TASKS, control_names
from pipeline.method_table import BASELINES, RETRAINED
from pipeline.methods.published import PublishedRow, read_rows, sources_of
from pipeline.methods.release import OFFICIAL

Kind = Literal["baseline", "own", "pwm", "control"]

GUIDANCE_LABELS = {
    "nmfc": "PWM + NMFC",
    "geom_disp": "PWM + geom. disp.",
    "neural_codes": "PWM + neural codes",
    "geom_disp+neural_codes": "PWM + geom. disp. + neural codes",
}
COMBINED = "geom_disp+neural_codes"
COPY_SOURCE = "copy_source"
NOT_EVALUATED = "not evaluated yet: run the stage `evaluate` for this row"


class BenchNames(Protocol):
    """What the row list reads of `params.bench`."""

    recipe: str
    head: str
    head2: str

    @property
    def baselines(self) -> Sequence[str]:
        """Where published systems come from: `official`, a recipe, or both."""


class ModelNames(Protocol):
    """What the row list reads of `params.model`."""

    @property
    def recipe(self) -> str:
        """A key of `recipes`."""

    @property
    def head(self) -> str:
        """`bench.head` or `bench.head2`."""

    @property
    def guidance(self) -> str:
        """A key of `model.pwm.config.GUIDANCE_PARTS`."""


class OwnNames(Protocol):
    """What the row list reads of a row that users brought (`pipeline.own.frames.OwnRow`)."""

    @property
    def label(self) -> str:
        """What the table prints."""

    @property
    def absent(self) -> str:
        """Why it has no numbers; empty where it has."""


NO_OWN: Mapping[str, OwnNames] = MappingProxyType({})
NO_PUBLISHED: Mapping[str, Sequence[PublishedRow]] = MappingProxyType({})


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        key: name of the method in scores and below `data/results` and `data/models`.
        label: what the table prints, in the paper's words.
        paper: name that the paper's tables (reports/paper.csv) have for the same thing; empty where they have none.
        kind: `pwm`, `baseline`, `own` (frames that users brought) or `control` (never printed bold).
        head: the head whose fits drive the row; empty for controls and for baselines driven otherwise.
        guidance: guidance of a PWM row, else empty.
        recipe: training recipe of a PWM row, else empty.
        tasks: tasks in which the row stands.
        absent: why the row has no numbers; empty when it is expected to have them.
        system: name of a published system, else empty.
        source: where its weights are from, see `pipeline.methods.published`.
        own_crop: whether a published system was run in a crop of its own instead of the shared one.
        notes: what a reader of the row has to know.
    """

    key: str
    label: str
    kind: Kind
    head: str = ""
    guidance: str = ""
    recipe: str = ""
    tasks: tuple[str, ...] = TASKS
    absent: str = ""
    paper: str = ""
    system: str = ""
    source: str = ""
    own_crop: bool = False
    notes: tuple[str, ...] = ()

    @property
    def results(self) -> str:
        """Folder of this row below `data/results`."""
        if self.system:
            return f"{self.system}/{PublishedRow(self.source, self.own_crop).folder}"
        folder = {"control": "controls/", "own": "own/"}.get(self.kind, "")
        return folder + self.key

    @property
    def trained_here(self) -> bool:
        """Whether a recipe of this project trains it."""
        return self.kind == "pwm" or (self.kind == "baseline" and self.source != OFFICIAL and not self.absent)

    @property
    def model(self) -> str:
        """Folder of this row's model below `data/models`."""
        return f"{self.system}/{self.source}" if self.system else self.key


def pwm_key(recipe: str, head: str, guidance: str) -> str:
    """Return the key of a PWM row."""
    return f"{recipe}.{head}.{guidance}"


def paper_rows(bench: BenchNames) -> list[Row]:
    """Return the five PWM rows of Table 1, in the paper's order."""
    rows = [
        Row(pwm_key(bench.recipe, bench.head, guidance), label, "pwm", bench.head, guidance, bench.recipe, paper=label)
        for guidance, label in GUIDANCE_LABELS.items()
    ]
    label = f"{GUIDANCE_LABELS[COMBINED]} (second head)"
    key = pwm_key(bench.recipe, bench.head2, COMBINED)
    paper = f"{GUIDANCE_LABELS[COMBINED]} (BFM)"
    return [*rows, Row(key, label, "pwm", bench.head2, COMBINED, bench.recipe, paper=paper)]


def selected_row(bench: BenchNames, model: ModelNames) -> Row:
    """Return the row that `model.*` names: one of the five, or one more with its recipe in the label."""
    key = pwm_key(model.recipe, model.head, model.guidance)
    for row in paper_rows(bench):
        if row.key == key:
            return row
    label = f"{GUIDANCE_LABELS[model.guidance]} [{model.recipe}, {model.head}]"
    return Row(key, label, "pwm", model.head, model.guidance, model.recipe)


def pwm_rows(bench: BenchNames, model: ModelNames) -> list[Row]:
    """Return the five rows and, behind them, the selected one when it is none of them."""
    rows = paper_rows(bench)
    chosen = selected_row(bench, model)
    return rows if chosen in rows else [*rows, chosen]


def baseline_rows(bench: BenchNames, published: Mapping[str, Sequence[PublishedRow]] = NO_PUBLISHED) -> list[Row]:
    """Return the published systems in the paper's order, each from every source that `bench.baselines` names.

    Args:
        bench: section `bench`.
        published: what the stage `evaluate` says of each system (`published_rows`).
    """
    rows = []
    for system, label in BASELINES.items():
        sources = sources_of(system, bench.baselines, bench.recipe)
        found = published.get(system) or [PublishedRow(source, absent=NOT_EVALUATED) for source in sources]
        rows += [_baseline_row(system, label, row, len(bench.baselines) > 1) for row in found]
    return rows


def _baseline_row(system: str, label: str, row: PublishedRow, name_source: bool) -> Row:
    said = [row.source] * name_source + ["own crop"] * row.own_crop
    return Row(
        f"{row.source}.{system}.own_crop" if row.own_crop else f"{row.source}.{system}",
        f"{label} ({', '.join(said)})" if said else label,
        "baseline",
        absent=row.absent,
        paper=label if (row.source != OFFICIAL) == (system in RETRAINED) and not row.own_crop else "",
        system=system,
        source=row.source,
        own_crop=row.own_crop,
        notes=row.notes,
    )


def published_rows(results: Path) -> dict[str, list[PublishedRow]]:
    """What the stage `evaluate` says of each published system in `data/results`."""
    return {system: read_rows(results / system) for system in BASELINES if (results / system).is_dir()}


def control_rows(has_truth: bool) -> list[Row]:
    """Return the control rows; `true reenactment` needs the puppets' true codes."""
    return [
        Row(name, name.replace("_", " "), "control", tasks=CONTROL_TASKS[name]) for name in control_names(has_truth)
    ]


def own_rows(own: Mapping[str, OwnNames]) -> list[Row]:
    """Return the rows of frames that users brought, by their names in `bench.own`."""
    return [Row(name, row.label, "own", absent=row.absent) for name, row in own.items()]


def all_rows(
    bench: BenchNames,
    model: ModelNames,
    has_truth: bool,
    own: Mapping[str, OwnNames] = NO_OWN,
    published: Mapping[str, Sequence[PublishedRow]] = NO_PUBLISHED,
) -> list[Row]:
    """Return every row in the order of Table 1: published systems, those that users brought, PWM, controls."""
    systems = baseline_rows(bench, published)
    return [*systems, *own_rows(own), *pwm_rows(bench, model), *control_rows(has_truth)]


def reference_rows(name: str, rows: Iterable[Row], bench: BenchNames) -> list[Row]:
    """Return the rows that all others are compared with: `copy source`, and the one that is named beforehand.

    Args:
        name: a row's key, or the guidance of a PWM row on `bench.recipe` and `bench.head`.
        rows: the row list.
        bench: section `bench`.

    Raises:
        ValueError: there is no such row, or it is a control.
    """
    rows = list(rows)
    try:
        named = row_named(pwm_key(bench.recipe, bench.head, name) if name in GUIDANCE_LABELS else name, rows)
    except ValueError as error:
        raise ValueError(f"report.reference: {error}; or a guidance: {', '.join(GUIDANCE_LABELS)}") from None
    if named.kind == "control":
        raise ValueError(
            f"report.reference: {name} is a control: name a row that competes (`copy source` always is one)"
        )
    return [row_named(COPY_SOURCE, rows), named]


def row_named(key: str, rows: Iterable[Row]) -> Row:
    """Return the row with this key.

    Raises:
        ValueError: no row has it; the message lists the keys there are.
    """
    rows = list(rows)
    for row in rows:
        if row.key == key:
            return row
    raise ValueError(f"no row is called {key!r}; rows: {', '.join(row.key for row in rows)}")
