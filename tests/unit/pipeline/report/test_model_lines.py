"""The footer's line about the model: what its parameters have that the paper has otherwise, and nothing else."""

import pytest

from pipeline.params.tree import Params, load_params
from pipeline.report.footer.models import PAPER, differences, model_lines
from pipeline.report.rows import pwm_rows
from tests.helpers import ROOT


@pytest.fixture(scope="module")
def papers() -> Params:
    return load_params(ROOT / "profiles" / "voxceleb.yaml")


@pytest.mark.parametrize("profile", ["puppets", "realvox"])
def test_a_toy_recipe_names_its_shortcuts(profile):
    params = load_params(ROOT / "profiles" / f"{profile}.yaml")
    recipe = params.recipes[params.bench.recipe]
    (line,) = model_lines(params.recipes, params.networks, pwm_rows(params.bench, params.model))
    assert line.startswith(f"Model of recipe {params.bench.recipe}: differs from the paper's in image_px 64 (256), ")
    for said in (
        f"iterations {recipe.iterations} (270000)", "generator.output warped_source (paper)",
        "generator.disp_refines True (False)", "perceptual network puppet_tracker (vgg19)",
        "augment.colour 0.2 (0.0)", "losses.pixel 30.0 (0.0)",
    ):  # fmt: skip
        assert f"{said}," in line or f"{said};" in line
    assert "code_dim" not in line  # as the paper's
    assert line.endswith("what the paper leaves open: docs/deviations.md.")


def test_the_papers_recipe_has_no_difference(papers):
    assert model_lines(papers.recipes, papers.networks, pwm_rows(papers.bench, papers.model)) == [
        "Model of recipe paper256: is the paper's in all that the paper states; what the paper leaves open: "
        "docs/deviations.md."
    ]


def test_every_stated_value_is_looked_at(papers):
    params = load_params(ROOT / "profiles" / "puppets.yaml")
    recipe, other = params.recipes["toy64"], params.networks["toy64"].pwm
    augment = recipe.augment.model_copy(update={"shift_ndc": 0.1, "log_scale": 0.1})
    recipe = recipe.model_copy(update={"augment": augment})
    other = other.model_copy(
        update={
            "generator": other.generator.model_copy(update={"channels": [8, 8]}),
            "guidance": other.guidance.model_copy(update={"code_dim": 3}),
            "discriminator": other.discriminator.model_copy(update={"scales": 2}),
            "losses": other.losses.model_copy(update={"perceptual_scales": 2, "warped": 0.5}),
            "perceptual": other.perceptual.model_copy(update={"blocks": 4}),
        }
    )
    found = differences(recipe, other)
    assert differences(papers.recipes["paper256"], papers.networks["paper256"].pwm) == []
    assert [line.rsplit(" ", 2)[0] for line in found if "drop_steps" not in line] == [
        key for key in PAPER if "drop_steps" not in key
    ]
    assert "learning_rate.drop_steps [155, 215, 243] ([80000, 160000])" in found


def test_two_recipes_have_a_line_each_and_controls_none():
    params = load_params(ROOT / "params.yaml")
    recipes = {**params.recipes, "other": params.recipes["toy64"].model_copy(update={"iterations": 7})}
    networks = {**params.networks, "other": params.networks["toy64"]}
    rows = pwm_rows(params.bench, params.model.model_copy(update={"recipe": "other"}))
    assert [line.split(":")[0] for line in model_lines(recipes, networks, rows)] == [
        "Model of recipe toy64", "Model of recipe other",
    ]  # fmt: skip
