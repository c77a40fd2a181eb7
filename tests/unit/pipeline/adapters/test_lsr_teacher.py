"""LSR as recipes build it."""

import pytest
import torch

from model.heads.head import load_head
from model.method.parts import PARTS
from pipeline.adapters.lsr.teacher import TEACHER
from pipeline.params.tree import load_params
from tests.helpers import ROOT

HEAD = ROOT / "pipeline" / "puppets" / "assets" / "puppet.npz"


def settings(file: str, name: str):
    params = load_params(ROOT / file)
    return params.recipes[name], params.networks[name].lsr


def test_the_papers_recipe_has_the_published_widths_at_its_own_size():
    recipe, section = settings("profiles/voxceleb.yaml", "paper256")
    with torch.device("meta"):
        network = TEACHER.build(recipe, section, "", load_head(HEAD))
    config = network.config
    assert (config.native_px, config.start_px, config.levels, config.classes) == (256, 8, 5, len(PARTS))
    assert (config.style, config.channels, config.most, config.spade_hidden) == (512, 32, 512, 64)


def test_a_start_at_the_source_is_taken_where_the_section_says_so():
    recipe, section = settings("tests/data/small.yaml", "toy64")
    source = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    source = torch.nn.functional.interpolate(source, (64, 64), mode="bilinear")
    signals = dict.fromkeys(("source_contour", "driving_contour"), torch.zeros(2, 3, 64, 64))
    away = {}
    for start in ("source", "drawn"):
        sizes = section.generator.model_copy(update={"start": start})
        torch.manual_seed(0)
        network = TEACHER.build(recipe, section.model_copy(update={"generator": sizes}), "", load_head(HEAD))
        away[start] = (network(source, signals).image - source).abs().mean().item()
    assert away["source"] < 0.15 < away["drawn"]


@pytest.mark.parametrize(("image_px", "levels"), [(60, 3), (64, 6)])
def test_sizes_that_cannot_be_halved_are_refused(image_px: int, levels: int):
    recipe, section = settings("tests/data/small.yaml", "toy64")
    sizes = section.generator.model_copy(update={"levels": levels})
    with pytest.raises(ValueError, match=f"levels {levels} halves images of {image_px} px to no whole number"):
        TEACHER.build(
            recipe.model_copy(update={"image_px": image_px}), section.model_copy(update={"generator": sizes}), "",
            load_head(HEAD),
        )  # fmt: skip
