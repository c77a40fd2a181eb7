"""Which trained rows of an earlier version count as rows of today's recipe, and what is said of the others."""

import copy

import pytest

from model.pwm.config import GUIDANCE_PARTS
from pipeline.params.tree import load_params
from pipeline.tools.adopt import check_recipe
from pipeline.training.run import comparable
from tests.helpers import ROOT

WHERE = "data/models/toy64.puppet.x"


def made_from(guidance: str, **generator: object) -> dict:
    recipe = load_params(ROOT / "params.yaml").recipes["toy64"].model_dump(mode="json")
    return {"guidance": guidance, "recipe": {**recipe, "generator": {**recipe["generator"], **generator}}}


def before_the_key(guidance: str) -> dict:
    record = made_from(guidance)
    del record["recipe"]["generator"]["nmfc_centre"]
    return record


def check(found: dict, wanted: dict) -> None:
    check_recipe(WHERE, "toy64", comparable(found)["recipe"], comparable(wanted)["recipe"])


@pytest.mark.parametrize("centre", ["by_coverage", "in_full"])
@pytest.mark.parametrize("guidance", [name for name in GUIDANCE_PARTS if name != "nmfc"])
def test_a_row_without_nmfc_is_the_same_whatever_is_said_of_them(guidance, centre):
    check(before_the_key(guidance), made_from(guidance, nmfc_centre=centre, nmfc_scale=1.0))


def test_an_old_row_of_nmfc_is_one_in_full():
    check(before_the_key("nmfc"), made_from("nmfc", nmfc_centre="in_full"))
    with pytest.raises(ValueError, match="train the row again") as refused:
        check(before_the_key("nmfc"), made_from("nmfc"))
    assert str(refused.value) == (
        f"{WHERE}: its recipes.toy64.generator.nmfc_centre is in_full, wanted now is by_coverage: "
        "set it to in_full, or train the row again"
    )


@pytest.mark.parametrize("guidance", GUIDANCE_PARTS)
@pytest.mark.parametrize(("section", "key", "value"), [
    ("generator", "spade_hidden", 7), ("generator", "output", "paper"), ("guidance", "render_px", 64),
    ("losses", "pixel", 1.5), ("learning_rate", "betas", [0.0, 0.9]),
])  # fmt: skip
def test_a_key_that_every_row_reads_is_named(guidance, section, key, value):
    wanted = made_from(guidance)
    found = copy.deepcopy(wanted)
    check(found, wanted)
    old = found["recipe"][section][key] = value
    new = wanted["recipe"][section][key]
    with pytest.raises(ValueError, match="train the row again") as refused:
        check(found, wanted)
    assert f"its recipes.toy64.{section}.{key} is {old}, wanted now is {new}: set it to {old}" in str(refused.value)


@pytest.mark.parametrize(("found", "wanted", "said"), [
    ({"a": {}}, {"a": {"b": 1}}, "a.b is absent, wanted now is 1"),
    ({"a": {"b": 1}}, {"a": {}}, "a.b is 1, wanted now is absent"),
    ({"a": {"b": 1}}, {"a": 2}, "a is {'b': 1}, wanted now is 2"),
])  # fmt: skip
def test_keys_that_one_of_both_lacks_are_named(found, wanted, said):
    with pytest.raises(ValueError, match="toy64") as refused:
        check_recipe(WHERE, "toy64", found, wanted)
    assert said in str(refused.value)


def test_no_record_is_changed():
    record = before_the_key("nmfc")
    kept = copy.deepcopy(record)
    comparable(record)
    assert record == kept
