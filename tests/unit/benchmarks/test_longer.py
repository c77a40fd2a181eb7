"""A longer budget moves the drops along, and asks for states often enough."""

from benchmarks.longer import longer, page, regular
from pipeline.params.tree import load_params
from tests.helpers import ROOT


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
        "times": 5, "profile": "toy", "command": "c", "commit": "x", "machine": "m", "versions": {"torch": "2"},
        "pairs": 8, "iterations": 10, "copy source": {"A": {"l1": 20.0, "akd": 4.0, "aed": 0.1}},
        "rows": {"toy.lsr": [{"step": 25, "A.same.l1": 18.25, "A.same.akd": 3.0}]},
    }  # fmt: skip
    lines = page(report).splitlines()
    assert "| copy source | 20 | 4 | 0.1 | - |" in lines
    assert "| 25 | 18.2 | 3 | - | - |" in lines


def test_what_an_interrupted_run_left_between_is_no_point_of_the_curve():
    states = [{"step": step, "A.same.l1": "1"} for step in ("130", "260", "296", "390")]
    assert [state["step"] for state in regular(states, 130)] == ["130", "260", "390"]
