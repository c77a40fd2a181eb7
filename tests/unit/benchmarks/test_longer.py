"""A longer budget moves the drops along, asks for states often enough, and leaves other systems' curves alone."""

import json

import pytest
import typer

from benchmarks.longer import beside, longer, page, regular
from pipeline.params.tree import load_params
from tests.helpers import ROOT

COPY = {"Faces": {"l1": 20.0, "akd": 4.0, "aed": 0.1, "apd": 15.0}}


def settings(**changes) -> dict:
    return {"profile": "toy", "times": 5, "iterations": 10, "pairs": 4, "copy source": COPY, **changes}


def measured(report: dict, key: str, l1: float = 19.0) -> dict:
    """With a system's curve."""
    made = {
        "command": f"python -m benchmarks.longer {key}",
        "commit": "abc",
        "machine": "m",
        "versions": {"torch": "2"},
    }
    curves = {**report["rows"], key: [{"step": 10, "Faces.same.l1": l1}]}
    return {**report, "rows": curves, "made": {**report["made"], key: made}}


def test_everything_but_the_length_stays(tmp_path):
    profile = ROOT / "profiles" / "puppets.yaml"
    before, after = load_params(profile), load_params(longer(profile, tmp_path / "params.yaml", 5))
    name = before.bench.recipe
    one, five = before.recipes[name], after.recipes[name]
    assert five.iterations == 5 * one.iterations
    run = one.run.model_copy(update={"checkpoint_every": one.iterations // 2})
    assert five == one.model_copy(update={"iterations": five.iterations, "run": run})
    for method in type(before.networks[name]).model_fields:
        short, long = before.networks[name].of(method), after.networks[name].of(method)
        assert long.learning_rate.drop_steps == [5 * step for step in short.learning_rate.drop_steps]
        rates = short.learning_rate.model_copy(update={"drop_steps": long.learning_rate.drop_steps})
        assert long == short.model_copy(update={"learning_rate": rates})


def test_the_page_has_a_line_a_state_beside_copying():
    report = {
        "times": 5, "profile": "toy", "pairs": 8, "iterations": 10,
        "copy source": {"A": {"l1": 20.0, "akd": 4.0, "aed": 0.1}},
        "rows": {"toy.lsr": [{"step": 25, "A.same.l1": 18.25, "A.same.akd": 3.0}]},
        "made": {"toy.lsr": {"command": "c", "commit": "x", "machine": "m", "versions": {"torch": "2"}}},
    }  # fmt: skip
    lines = page(report).splitlines()
    assert "| copy source | 20 | 4 | 0.1 | - |" in lines
    assert "| 25 | 18.2 | 3 | - | - |" in lines


def test_what_an_interrupted_run_left_between_is_no_point_of_the_curve():
    states = [{"step": step, "A.same.l1": "1"} for step in ("130", "260", "296", "390")]
    assert [state["step"] for state in regular(states, 130)] == ["130", "260", "390"]


def test_other_systems_curves_are_kept_and_its_own_is_made_anew(tmp_path):
    file = tmp_path / "longer-toy.json"
    first = measured(beside(file, settings(), ["toy.one"]), "toy.one")
    file.write_text(json.dumps(first))
    both = measured(beside(file, settings(), ["toy.two"]), "toy.two")
    assert both["rows"] == {"toy.one": first["rows"]["toy.one"], "toy.two": [{"step": 10, "Faces.same.l1": 19.0}]}
    text = page(both)
    assert text.index("## toy.one") < text.index("`python -m benchmarks.longer toy.one`") < text.index("## toy.two")
    file.write_text(json.dumps(both))
    assert list(beside(file, settings(), ["toy.one"])["rows"]) == ["toy.two"]


def test_curves_of_other_pairs_are_not_written_over(tmp_path):
    file = tmp_path / "longer-toy.json"
    file.write_text(json.dumps(measured(beside(file, settings(), ["toy.one"]), "toy.one")))
    other = settings(pairs=8, **{"copy source": {}})
    with pytest.raises(typer.BadParameter, match="has curves of toy.one with other pairs, copy source: measure them"):
        beside(file, other, ["toy.two"])
    assert beside(file, other, ["toy.one"])["rows"] == {}  # of the others there are none
