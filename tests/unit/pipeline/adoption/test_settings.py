"""Which trained rows of an earlier version count as rows of today's parameters, and what is said of the others."""

import copy

import pytest

from model.baselines.fomm3d.network import Fomm3dConfig
from model.baselines.headgan.network import HeadGanConfig
from model.pwm.config import GUIDANCE_PARTS
from pipeline.adapters.pwm.record import comparable
from pipeline.adoption.agree import agree_settings
from pipeline.adoption.models import completed
from pipeline.params.tree import load_params
from tests.helpers import ROOT

WHERE = "data/models/toy64.puppet.x"
SECTIONS = {"recipe": "recipes.toy64", "network": "networks.toy64.pwm"}


def made_from(guidance: str, **generator: object) -> dict:
    params = load_params(ROOT / "params.yaml")
    recipe, network = (part.model_dump(mode="json") for part in (params.recipes["toy64"], params.networks["toy64"].pwm))
    network["generator"] |= generator
    return {"guidance": guidance, "recipe": recipe, "network": network}


def in_one_piece(record: dict) -> dict:
    """The record as models have it that were trained before `networks`."""
    record = copy.deepcopy(record)
    return {**record, "recipe": record["recipe"] | record.pop("network")}


def before_the_key(guidance: str) -> dict:
    record = made_from(guidance)
    del record["network"]["generator"]["nmfc_centre"]
    return in_one_piece(record)


def check(found: dict, wanted: dict) -> None:
    found, wanted = comparable(found), comparable(wanted)
    for part, section in SECTIONS.items():
        agree_settings(WHERE, section, found[part], wanted[part])


@pytest.mark.parametrize("centre", ["by_coverage", "in_full"])
@pytest.mark.parametrize("guidance", [name for name in GUIDANCE_PARTS if name != "nmfc"])
def test_a_row_without_nmfc_is_the_same_whatever_is_said_of_them(guidance, centre):
    check(before_the_key(guidance), made_from(guidance, nmfc_centre=centre, nmfc_scale=1.0))


def test_an_old_row_of_nmfc_is_one_in_full():
    check(before_the_key("nmfc"), made_from("nmfc", nmfc_centre="in_full"))
    with pytest.raises(ValueError, match="train the row again") as refused:
        check(before_the_key("nmfc"), made_from("nmfc"))
    assert str(refused.value) == (
        f"{WHERE}: its networks.toy64.pwm.generator.nmfc_centre is in_full, wanted now is by_coverage: "
        "set it to in_full, or train the row again"
    )


@pytest.mark.parametrize("guidance", GUIDANCE_PARTS)
@pytest.mark.parametrize(("section", "key", "value"), [
    ("generator", "spade_hidden", 7), ("generator", "output", "paper"), ("guidance", "render_px", 64),
    ("losses", "pixel", 1.5), ("learning_rate", "betas", [0.0, 0.9]), ("run", "precision", "bfloat16"),
])  # fmt: skip
@pytest.mark.parametrize("as_it_was", [in_one_piece, copy.deepcopy])
def test_a_key_that_every_row_reads_is_named(guidance, section, key, value, as_it_was):
    wanted, found = made_from(guidance), made_from(guidance)
    check(as_it_was(found), wanted)
    part = "recipe" if section in wanted["recipe"] else "network"
    old = found[part][section][key] = value
    new = wanted[part][section][key]
    with pytest.raises(ValueError, match="train the row again") as refused:
        check(as_it_was(found), wanted)
    path = f"{SECTIONS[part]}.{section}.{key}"
    assert f"its {path} is {old}, wanted now is {new}: set it to {old}" in str(refused.value)


@pytest.mark.parametrize(("found", "wanted", "said"), [
    ({"a": {}}, {"a": {"b": 1}}, "a.b is absent, wanted now is 1"),
    ({"a": {"b": 1}}, {"a": {}}, "a.b is 1, wanted now is absent"),
    ({"a": {"b": 1}}, {"a": 2}, "a is {'b': 1}, wanted now is 2"),
])  # fmt: skip
def test_keys_that_one_of_both_lacks_are_named(found, wanted, said):
    with pytest.raises(ValueError, match="toy64") as refused:
        agree_settings(WHERE, "recipes.toy64", found, wanted)
    assert said in str(refused.value)


@pytest.mark.parametrize("record", [made_from("nmfc"), before_the_key("nmfc")])
def test_no_record_is_changed(record):
    kept = copy.deepcopy(record)
    comparable(record)
    assert record == kept


@pytest.mark.parametrize(("method", "config", "key", "was"), [
    ("headgan", HeadGanConfig, "smoothing", 2), ("fomm3d", Fomm3dConfig, "mask_kernel", 7),
])  # fmt: skip
def test_a_published_system_that_is_older_than_a_key_has_what_held_then(method, config, key, was):
    section = load_params(ROOT / "params.yaml").networks["toy64"].of(method).model_dump(mode="json")
    wanted = completed({"network": section}, {})["network"]
    old = copy.deepcopy(section)
    del old["generator"][key]
    found, place = completed({"network": old}, config.BEFORE)["network"], f"networks.toy64.{method}"
    with pytest.raises(ValueError, match=f"{place}.generator.{key} is {was}, wanted now is .*: set it to {was}, or"):
        agree_settings(WHERE, place, found, wanted)
    wanted["generator"][key] = was
    agree_settings(WHERE, place, found, wanted)
