"""docs/metrics.md: made from the code, with a card for every metric and every instrument named."""

import re

import pytest

from docs import list_metrics
from docs.metric_cards import CARDS, DEFINITIONS
from pipeline.metrics.registry import BACKENDS, FURTHER, METRICS, metric_named
from tests.helpers import ROOT


def test_the_page_is_what_the_code_says():
    assert list_metrics.PAGE.read_text(encoding="utf-8") == list_metrics.markdown(), "run `python -m docs.list_metrics`"
    assert "docs/metrics.md" in (ROOT / "README.md").read_text()


def test_every_metric_has_its_card_and_every_instrument_is_named():
    text = list_metrics.PAGE.read_text()
    titles = re.findall(r"^### (.+)$", text, re.MULTILINE)
    assert titles == [metric_named(name).label for name in [*METRICS, *FURTHER]]
    instruments = " ".join(re.findall(r"^\| instruments \| (.+) \|$", text, re.MULTILINE))
    assert set(re.findall(r"`([a-z]\w+)`(?= \(|;| |$)", instruments)) >= set(BACKENDS)


def test_the_papers_metrics_say_what_the_paper_leaves_open_and_ours_among_the_definitions():
    assert [name for name, card in CARDS.items() if card.open] == list(METRICS)
    assert len(DEFINITIONS) == 5
    assert sum("ours" in whose for _, whose, _ in DEFINITIONS) == 1


def test_a_metric_without_a_card_is_named(monkeypatch):
    monkeypatch.delitem(CARDS, "nme")
    with pytest.raises(ValueError, match="differ in nme"):
        list_metrics.markdown()
