"""Write docs/metrics.md: one card a metric, from the classes in pipeline/metrics and what docs/metric_cards.py adds.

python -m docs.list_metrics
"""

from collections.abc import Iterable

from docs.metric_cards import CARDS, DEFINITIONS, Card
from pipeline.assets import ASSETS
from pipeline.instrument_table import INSTRUMENTS, instruments_of
from pipeline.metrics.protocols import Metric
from pipeline.metrics.registry import BACKENDS, FOLLOWS, FURTHER, METRICS, metric_named
from pipeline.store.provenance import ROOT, write_text

PAGE = ROOT / "docs" / "metrics.md"
SIZE_HW = (256, 256)  # of the ids that are shown
TASKS = {"same": "same identity", "cross": "cross identity"}
INTRODUCTION = """# Metrics

Written by `python -m docs.list_metrics`. Instruments and their quirks: [cards/metrics.md](cards/metrics.md); intervals:
[intervals.md](intervals.md).

Everything is measured on saved 8-bit frames, one lossless PNG a pair, whoever made them.

**Failures.** A frame that an instrument cannot read is a failure of its pair in that column, never a value. `n_failed`
in `scores.csv` counts them for every row and column, and the tables print the count beside the number. All rows are
compared on the same pairs: a pair counts in a column where its images could be read in every row that has a number
there (a row that could read none has no say). `n_left_out` counts, for every row, the pairs that it lost because
another row's frame could not be read; the tables print it too. `metrics.json` has one row only: nothing is left out
there for others.
"""
FIVE = """## Five quantities called AED and APD

| what | whose | here |
| --- | --- | --- |
"""
AFTER = """
Published code also differs in what a missed face counts as: some score it 0, which is the best value there is, some
drop the frame in silence. Here it is neither (see Failures above).
"""


def backends_of(name: str) -> list[str]:
    """The backends that params.yaml may give a metric, or the one that a further column follows."""
    return instruments_of(FOLLOWS.get(name, name))


def markdown() -> str:
    """The page.

    Raises:
        ValueError: a metric has no card, or a card no metric.
    """
    if odd := set(CARDS) ^ {*METRICS, *FURTHER}:
        raise ValueError(f"docs/metric_cards.py and pipeline/metrics/registry.py differ in {', '.join(sorted(odd))}")
    lines = [
        INTRODUCTION,
        FIVE + "\n".join(f"| {what} | {whose} | {here} |" for what, whose, here in DEFINITIONS),
        AFTER,
    ]
    lines += ["## The paper's columns\n", *(_card(name) for name in METRICS)]
    lines += ["## Further columns (Table 4)\n", *(_card(name) for name in FURTHER)]
    return "\n".join(lines)


def _card(name: str) -> str:
    metric, card = metric_named(name), CARDS[name]
    rows = [*_facts(name, metric), *_words(card)]
    return "\n".join([f"### {metric.label}\n", "| | |", "| --- | --- |", *(f"| {a} | {b} |" for a, b in rows), ""])


def _facts(name: str, metric: type[Metric]) -> Iterable[tuple[str, str]]:
    backends = backends_of(name)
    head = "HEAD" if metric.reading == "head_codes" else ""
    yield "id", f"`{metric.metric_id(backends[0], head, SIZE_HW)}`"
    against = "; ".join(f"{TASKS[task]}: {role}" for task, role in metric.against.items())
    yield "compared with", f"source and {against}" if getattr(metric, "of_references", False) else against
    yield "better", "higher" if metric.higher_is_better else "lower"
    yield "instruments", "; ".join(f"`{backend}`{_weights(backend)}" for backend in backends)


def _weights(backend: str) -> str:
    assert backend in BACKENDS
    assets = INSTRUMENTS[backend].weights
    return f" ({', '.join(f'`{name}`: {ASSETS[name].licence}' for name in assets)})" if assets else ""


def _words(card: Card) -> Iterable[tuple[str, str]]:
    yield "formula", card.formula.replace("|", "\\|")
    yield "reduction", card.reduction
    yield "unit", card.unit
    yield "what is read", card.reader
    yield "floor", card.floor
    if card.open:
        yield "the paper leaves open", card.open


def main() -> None:
    """Write the page."""
    write_text(PAGE, markdown())


if __name__ == "__main__":
    main()
