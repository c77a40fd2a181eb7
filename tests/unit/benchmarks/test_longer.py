"""Curves of one system stay beside those of others that were measured on the same pairs."""

import json

import pytest
import typer

from benchmarks.longer import beside, page

COPY = {"Faces": {"l1": 20.0, "akd": 4.0, "aed": 0.1, "apd": 15.0}}


def report(key: str, **changes) -> dict:
    made = {
        "command": f"python -m benchmarks.longer {key}",
        "commit": "abc",
        "machine": "a machine",
        "versions": {"torch": "2"},
    }
    values = {"profile": "toy", "times": 5, "iterations": 10, "pairs": 4, "copy source": COPY}
    return {**values, "rows": {key: [{"step": 10, "Faces.same.l1": 19.0}]}, "made": {key: made}, **changes}


def test_other_systems_curves_are_kept_and_its_own_are_replaced(tmp_path):
    file = tmp_path / "longer-toy.json"
    assert beside(file, report("toy.one")) == report("toy.one")
    file.write_text(json.dumps(beside(file, report("toy.one"))))
    both = beside(file, report("toy.two"))
    assert list(both["rows"]) == list(both["made"]) == ["toy.one", "toy.two"]
    text = page(both)
    assert text.index("## toy.one") < text.index("`python -m benchmarks.longer toy.one`") < text.index("## toy.two")
    file.write_text(json.dumps(both))
    again = beside(file, report("toy.one", rows={"toy.one": []}))
    assert again["rows"] == {"toy.two": both["rows"]["toy.two"], "toy.one": []}


def test_curves_of_other_pairs_are_not_written_over(tmp_path):
    file = tmp_path / "longer-toy.json"
    file.write_text(json.dumps(report("toy.one")))
    with pytest.raises(
        typer.BadParameter, match="has curves of toy.one with other pairs, copy source: measure them too"
    ):
        beside(file, report("toy.two", pairs=8, **{"copy source": {}}))
    assert beside(file, report("toy.one", pairs=8))["pairs"] == 8  # of the others there are none
