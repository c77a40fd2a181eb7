"""The row list: every line of Tables 1-3, once, in the paper's order.

A PWM row is keyed `recipe.head.guidance`, which is also its DVC stage and its folder below
`data/models` and `data/results`. The row that `model.*` names is one more key of the same list and
collapses into a fixed row when it repeats one, so no model is trained or scored twice.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, Protocol

from pipeline.bench.tasks import CONTROL_TASKS, TASKS, control_names

Kind = Literal["baseline", "own", "pwm", "control"]

GUIDANCE_LABELS = {
    "nmfc": "PWM + NMFC",
    "geom_disp": "PWM + geom. disp.",
    "neural_codes": "PWM + neural codes",
    "geom_disp+neural_codes": "PWM + geom. disp. + neural codes",
}
COMBINED = "geom_disp+neural_codes"
BASELINE_LABELS = {
    "x2face": "X2Face",
    "bilayer": "Bi-Layer",
    "lsr": "LSR",
    "fomm": "FOMM",
    "fomm3d": "3D-FOMM",
    "headgan": "HeadGAN",
    "pirender": "PIRender",
}
COPY_SOURCE = "copy_source"
NO_BASELINE = "no row in this version: its network is here, its adapter is still to come (docs/baselines.md)"


class BenchNames(Protocol):
    """What the row list reads of `params.bench`."""

    recipe: str
    head: str
    head2: str
    baselines: str


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


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        key: name of the method in scores and below `data/results` and `data/models`.
        label: what the table prints, in the paper's words.
        kind: `pwm`, `baseline`, `own` (frames that users brought) or `control` (never printed bold).
        head: the head whose fits drive the row; empty for controls and for baselines driven otherwise.
        guidance: guidance of a PWM row, else empty.
        recipe: training recipe of a PWM row, else empty.
        tasks: tasks in which the row stands.
        absent: why the row has no numbers; empty when it is expected to have them.
    """

    key: str
    label: str
    kind: Kind
    head: str = ""
    guidance: str = ""
    recipe: str = ""
    tasks: tuple[str, ...] = TASKS
    absent: str = ""

    @property
    def results(self) -> str:
        """Folder of this row below `data/results`."""
        folder = {"control": "controls/", "own": "own/"}.get(self.kind, "")
        return folder + self.key


def pwm_key(recipe: str, head: str, guidance: str) -> str:
    """Return the key of a PWM row."""
    return f"{recipe}.{head}.{guidance}"


def paper_rows(bench: BenchNames) -> list[Row]:
    """Return the five PWM rows of Table 1, in the paper's order."""
    rows = [
        Row(pwm_key(bench.recipe, bench.head, guidance), label, "pwm", bench.head, guidance, bench.recipe)
        for guidance, label in GUIDANCE_LABELS.items()
    ]
    label = f"{GUIDANCE_LABELS[COMBINED]} (second head)"
    key = pwm_key(bench.recipe, bench.head2, COMBINED)
    return [*rows, Row(key, label, "pwm", bench.head2, COMBINED, bench.recipe)]


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


def baseline_rows(bench: BenchNames) -> list[Row]:
    """Return the seven published systems in the paper's order; HeadGAN is always trained (section 4.1)."""
    rows = []
    for name, label in BASELINE_LABELS.items():
        trained = pwm_key(bench.recipe, bench.head, name) if name == "headgan" else f"{bench.baselines}.{name}"
        rows.append(Row(trained, label, "baseline", absent=NO_BASELINE))
    return rows


def control_rows(has_truth: bool) -> list[Row]:
    """Return the control rows; `true reenactment` needs the puppets' true codes."""
    return [
        Row(name, name.replace("_", " "), "control", tasks=CONTROL_TASKS[name]) for name in control_names(has_truth)
    ]


def own_rows(own: Mapping[str, OwnNames]) -> list[Row]:
    """Return the rows of frames that users brought, by their names in `bench.own`."""
    return [Row(name, row.label, "own", absent=row.absent) for name, row in own.items()]


def all_rows(bench: BenchNames, model: ModelNames, has_truth: bool, own: Mapping[str, OwnNames] = NO_OWN) -> list[Row]:
    """Return every row in the order of Table 1: published systems, those that users brought, PWM, controls."""
    return [*baseline_rows(bench), *own_rows(own), *pwm_rows(bench, model), *control_rows(has_truth)]


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
