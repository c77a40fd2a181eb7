"""The benchmark of the perceptual loss's network: all begin at one loss, and the page says what each got."""

import pytest

from benchmarks import perceptual
from pipeline.params.tree import load_params
from tests.helpers import ROOT

NETWORK = load_params(ROOT / "profiles" / "realvox.yaml").networks["open64"].pwm
FIRST = {"puppet_tracker": 2.0, "efficientnet_lite0": 8.0, "vgg19_first": 0.5}


class Nothing:
    """Training pairs that nobody looks at."""

    source = driving = None

    def __init__(self, *_: object) -> None: ...

    def batch(self, *_: object) -> "Nothing":
        return self


def test_the_weight_makes_all_first_losses_equal(monkeypatch):
    monkeypatch.setattr(perceptual, "PairDataset", Nothing)
    monkeypatch.setattr(perceptual, "load_head", lambda path: None)
    monkeypatch.setattr(perceptual, "_first_loss", lambda section, *_: FIRST[section.backbone])
    inputs = perceptual.TrainInputs(ROOT, ROOT, ROOT)
    sections = perceptual._sections(NETWORK, list(FIRST), inputs)
    weights = {name: section.losses.perceptual for name, section in sections.items()}
    assert weights == pytest.approx({"puppet_tracker": 1.0, "efficientnet_lite0": 0.25, "vgg19_first": 4.0})
    assert len({weights[name] * FIRST[name] for name in FIRST}) == 1
    named = {name: (section.perceptual.backbone, section.perceptual.weights) for name, section in sections.items()}
    assert named == {
        "puppet_tracker": ("puppet_tracker", "pipeline/puppets/assets/tracker.safetensors"),
        "efficientnet_lite0": ("efficientnet_lite0", "efficientnet_lite0"),
        "vgg19_first": ("vgg19_first", "vgg19"),
    }


def test_a_row_of_an_unknown_recipe_is_refused(tmp_path):
    params = load_params(ROOT / "profiles" / "realvox.yaml")
    with pytest.raises(ValueError, match="there is no recipe 'mine'; recipes has open64"):
        perceptual.study(
            params, "mine.ict.nmfc", ["puppet_tracker"], 1.0, tmp_path, tmp_path, perceptual.torch.device("cpu")
        )


def test_the_page_has_a_column_a_network_and_a_dash_where_one_has_no_number():
    found = [
        {"backbone": "a", "weight": 1.0, "ms_a_step": 400.0, "steps": 600, "trained_s": 240.0,
         "scores": {"x": 1.5, "y": 2}},
        {"backbone": "b", "weight": 0.05, "ms_a_step": 1200.0, "steps": 200, "trained_s": 239.0, "scores": {"x": 3.0}},
    ]  # fmt: skip
    report = {"command": "c", "commit": "0", "processor": "p", "versions": {"torch": "2"}, "profile": "realvox",
              "minutes": 4.0, "networks": found}  # fmt: skip
    lines = perceptual.page(report).splitlines()
    assert "| steps | 600 | 200 |" in lines
    assert "| x | 1.5 | 3 |" in lines
    assert "| y | 2 | – |" in lines
