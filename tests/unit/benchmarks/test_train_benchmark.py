"""The benchmark of a training step: what it counts, what it turns off, and that its page says what was not measured."""

import json
import sys

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import train
from benchmarks.device.settings import Run, pwm_of_run
from benchmarks.train_cpu import by_compiler, gains_of_two, over_convolutions
from benchmarks.train_flops import COUNTED_PX, EXPECTED, step_gflops
from benchmarks.train_page import page
from benchmarks.train_step import EAGER_FLOAT32, EVERYTHING, THINGS, Course, Way, of_recipe
from benchmarks.train_switches import SHOWN, switches, ways
from benchmarks.train_waits import data_wait
from model.heads.head import load_head
from model.training.compiled import compile_parts
from model.training.discriminator import Discriminator
from pipeline.adapters.pwm.configs import discriminator_config
from pipeline.method_table import OURS
from pipeline.params.tree import load_params
from tests.helpers import ROOT

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
SMALL = ROOT / "tests" / "data" / "small.yaml"
PLAIN = Way(bfloat16=False, compiled=False, late=False, tf32=False)


@pytest.fixture(scope="module")
def small():
    """Recipe, network and head of a step that takes little."""
    params = load_params(SMALL)
    recipe = params.recipes[params.bench.recipe].model_copy(update={"batch_size": 2})
    return recipe, params.networks[params.bench.recipe].pwm, load_head(train.PUPPET)


def test_operations_are_proportional_to_the_pixels(small, monkeypatch):
    recipe, network, head = small
    large = recipe.model_copy(update={"image_px": 2 * COUNTED_PX})
    scaled = step_gflops(large, network, "geom_disp", head)
    monkeypatch.setattr("benchmarks.train_flops.COUNTED_PX", 2 * COUNTED_PX)
    assert step_gflops(large, network, "geom_disp", head) == pytest.approx(scaled)
    assert step_gflops(large, network, "neural_codes", head) > scaled  # codes join the source image


def of_one_pass(params) -> float:
    """GFLOP of the discriminator on one image."""
    network = Discriminator(discriminator_config(params.networks[params.bench.recipe].pwm))
    side = params.recipes[params.bench.recipe].image_px
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.rand(1, 3, side, side))
    return counter.get_total_flops() / 1e9


@pytest.mark.slow
@pytest.mark.parametrize("guidance", EXPECTED)
def test_the_paper_s_step_takes_what_the_goals_were_set_with(guidance):
    params, head = load_params(train.PAPER), load_head(train.PUPPET)
    ours, papers = (
        step_gflops(*pwm_of_run(params, Run(OURS, guidance, output)), guidance, head)
        for output in ("warped_source", "paper")
    )
    # In the goals' count the generator's gradient goes through what the discriminator says of the target as well: as
    # many operations as a pass takes.
    assert ours + of_one_pass(params) == pytest.approx(EXPECTED[guidance], rel=2e-3)
    assert 0.9 < papers / ours < 1.0


def test_each_thing_is_turned_off_alone(small, monkeypatch):
    recipe, *_ = small
    monkeypatch.setattr("benchmarks.train_switches.lacking", lambda: "")
    on_cuda = ways(recipe, CUDA)
    assert on_cuda["everything on"] == EVERYTHING
    off = [on_cuda[f"without {SHOWN[thing]}"] for thing in THINGS]
    assert [[thing for thing in THINGS if not getattr(way, thing)] for way in off] == [[thing] for thing in THINGS]
    assert on_cuda["nothing on, float32"] == EAGER_FLOAT32
    monkeypatch.setattr("benchmarks.train_switches.lacking", lambda: "there is no C compiler")
    assert ways(recipe, CUDA)["without torch.compile"] == "there is no C compiler"
    assert not ways(recipe, CUDA)["everything on"].compiled


def test_on_the_cpu_what_it_has_takes_turns_and_the_rest_is_named(small):
    recipe, network, head = small
    found = switches(recipe, network, "geom_disp", head, CPU, 1)
    assert found["everything on"]["ratio"] == 1.0
    assert found["without fused Adam"]["ms"] > 0
    skipped = {name: values["skipped"] for name, values in found.items() if "skipped" in values}
    assert skipped["without TF32 where float32 is left"] == "CUDA alone has TF32"
    assert skipped["without bfloat16 autocast"] == "off in this recipe"


def test_a_way_computes_as_it_says(small):
    recipe, network, head = small
    course = Course(recipe, network, "geom_disp", head, EAGER_FLOAT32, CPU)
    weights = [p for p in course.lesson.network.parameters() if p.dim() == 4 and p.shape[1] > 1]
    before = [weight.clone() for weight in weights]
    with course.arithmetic():
        assert not torch.backends.cudnn.allow_tf32
        course.step(course.batch())
    course.look()
    assert any(not torch.equal(weight, old) for weight, old in zip(weights, before, strict=True))
    laid = Course(recipe, network, "geom_disp", head, of_recipe(recipe, CPU).without("bfloat16"), CPU)
    assert laid.config.channels_last == recipe.run.channels_last


def test_waiting_is_a_share_and_a_step_is_longer_than_its_convolutions(small):
    recipe, network, head = small
    course = Course(recipe, network, "geom_disp", head, PLAIN, CPU)
    assert 0 <= data_wait(course, head, recipe, 1e4) < 1
    found = over_convolutions(recipe, network, "geom_disp", head, 1)
    assert found["ratio"] > 1
    assert found["step_ms"] > found["convolutions_ms"] > 0


def test_a_compiled_step_takes_turns_with_a_plain_one(small, monkeypatch):
    backends = []

    def traced(lesson):
        backends.append(compile_parts(lesson, backend="aot_eager"))

    def took(course):
        return (30.0, 10.0) if course._way.compiled else (40.0, 8.0)

    monkeypatch.setattr("benchmarks.train_step.compile_parts", traced)
    monkeypatch.setattr("benchmarks.train_cpu._beside_convolutions", took)
    found = by_compiler(small[0], small[1], "geom_disp", small[2], 1)
    assert len(backends) == 1  # of the two courses one alone is compiled
    assert (found["over_plain"], found["ratio"]) == (0.75, 3.0)
    assert found["compiling_s"] > 0


def test_a_gain_is_one_over_two_beside_that_of_loops(small, monkeypatch):
    monkeypatch.setattr("benchmarks.train_cpu.measured", lambda count, *_job: {"step_ms": {1: 90.0, 2: 60.0}[count]})
    monkeypatch.setattr("benchmarks.train_cpu._loops", lambda count: [10.0 if count == 1 else 9.375] * count)
    found = gains_of_two(small[0], small[1], "geom_disp", small[2], 1)
    assert found == {"processes": 1.5, "convolutions": 1.875, "ratio": 0.8}


def test_without_a_compiler_it_says_so(small, monkeypatch):
    monkeypatch.setenv("CXX", "no_such_compiler")
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", (None, "no_such_compiler"))
    found = by_compiler(small[0], small[1], "geom_disp", small[2], 1)
    assert set(found) == {"skipped"}
    assert found["skipped"].startswith("torch.compile fails here")


def test_the_page_of_a_gpu_has_every_number_beside_its_goal():
    kernel = {"name": "sm90_xmma_fprop", "share": 0.25, "calls": 40.0}
    row = {
        "step_ms": 40.0, "peak_gib": 21.5, "gflop_an_image": 620.0, "compiled": True, "guidance_ms": 1.0,
        "floor_ms": 13.0, "floors": 3.08, "guidance_share": 0.025, "data_wait_share": 0.001, "busy_ms": 38.0,
        "other_kernels_ms": 12.0, "other_kernels_gb": 48.0, "kernels": [kernel], "eager_float32_ms": 400.0,
        "over_eager_float32": 10.0, "eager_tf32_ms": 80.0, "over_eager_tf32": 2.0,
    }  # fmt: skip
    report = {
        "command": "c", "commit": "abc", "versions": {"torch": "2"}, "device": "cuda", "image_px": 256, "batch": 16,
        "machine": {"cpu": "p", "cores": 16, "threads": 1, "gpu": "g", "load_before": 0}, "bf16_tflops": 750.0,
        "rows": {"geom_disp/paper": row}, "cpu": {"skipped": "measured with --device cpu"},
        "compared": "geom_disp/paper",
        "things": {"everything on": {"ms": 40.0, "ratio": 1.0}, "without x": {"skipped": "there is no y"}},
        "gflop": {"paper: geom_disp/paper": {"px": 256, "gflop_an_image": 620.0, "before": 650.0}},
    }  # fmt: skip
    text = page(report)
    assert (
        "| geom_disp/paper | 40.0 | 620 | 13.0 | 3.08 (at most 3.4) | 10.00 | 2.00 | 21.5 | 2.5% | 0.1% | yes |" in text
    )
    assert "| `sm90_xmma_fprop` | 25.0% | 40 |" in text
    assert "not measured: there is no y" in text
    assert "Not measured: measured with --device cpu." in text
    assert "| paper: geom_disp/paper | 256 | 620 | 650 |" in text


@pytest.mark.slow
def test_a_tiny_run_writes_the_whole_report(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["benchmarks.train"])
    monkeypatch.setattr("benchmarks.train_cpu.LOOP_S", 0.3)
    monkeypatch.setattr("benchmarks.train_cpu.ROUNDS", 1)
    train.main(SMALL, out=tmp_path, guidance=["geom_disp"], steps=1, processes=2, compiled=False)
    report, text = json.loads((tmp_path / "train.json").read_text()), (tmp_path / "train.md").read_text()
    assert list(report["rows"]) == ["geom_disp/warped_source"]
    assert set(report["cpu"]) == {"over_convolutions", "beside_a_busy_core", "two_processes"}
    assert all(values["ratio"] > 0 for values in report["cpu"].values())
    assert "CUDA: not measured, " in text
    assert "A compiled step: not measured, --no-compiled." in text
    assert "at least 0.85" in text
