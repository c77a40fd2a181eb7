"""The timing of frames: every system is called as its network asks to be, and operations are counted as stated."""

import pytest
import torch
from torch import nn

from benchmarks import generate
from benchmarks.generate import GENERATOR, PROFILES, SIGNALS, STREAM, Made, flops, page, pwm, row, rows, system
from pipeline.released.systems import SYSTEMS, layout
from tests.released_files import make_small


@pytest.fixture(autouse=True)
def _small_networks(monkeypatch):
    make_small(monkeypatch)
    yield
    layout.cache_clear()


def test_every_system_has_its_row_and_its_signals():
    assert set(SIGNALS) == set(SYSTEMS)
    assert list(rows()) == [*PROFILES, GENERATOR, STREAM, *SYSTEMS]


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_system_makes_frames_of_its_native_size(name):
    made = system(name)
    with torch.no_grad():
        found = made.call(1, "cpu")()
    assert found.image.shape == (1, 3, made.native_px, made.native_px)


def test_our_own_network_makes_frames_of_its_profile():
    made = pwm("params.yaml")
    with torch.no_grad():
        assert made.call(2, "cpu")().image.shape == (2, 3, made.native_px, made.native_px)


def test_generator_and_stream_make_the_frames_of_the_whole(monkeypatch):
    monkeypatch.setattr(generate, "PROFILES", {generate.LARGEST: "params.yaml"})  # of a size for tests
    alone, flow = generate.generator_alone(), generate.stream()
    with torch.no_grad():
        assert alone.call(2, "cpu")().image.shape == (2, 3, alone.native_px, alone.native_px)
        assert flow.call(2, "cpu")().image.shape == (2, 3, flow.native_px, flow.native_px)
    passed: list[str] = []
    for name, part in flow.network.named_children():
        part.register_forward_hook(lambda *_, name=name: passed.append(name))
    flow.call(1, "cpu")()
    assert passed == ["encoder", "animator"]  # between them the tracker, which is called by a method of its own


def test_a_convolution_counts_two_operations_for_each_product():
    network = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(5 * 64, 7))
    made = Made(network, 8, lambda batch, device: lambda: network(torch.rand(batch, 3, 8, 8, device=device)))
    assert flops(made) == 2 * (64 * 3 * 5 * 9 + 5 * 64 * 7)
    found = row("small", made, [1, 2], repeats=2, budget_s=0.01)
    assert found["parameters"] == 5 * 27 + 5 + 7 * 320 + 7
    assert {key for key in found if key.startswith("cpu")} == {"cpu 1", "cpu 2"}
    assert found["cpu 2"]["ms_per_image"] > 0


def test_the_page_says_what_was_not_measured():
    cell = {"ms_per_image": 1.0, "cpu_ms_per_image": 2.5}
    report = {
        "command": "c", "commit": "abc", "versions": {"torch": "2"}, "batches": [1, 16], "devices": ["cpu"],
        "machine": {"cpu": "p", "cores": 2, "threads": 1, "gpu": None, "load_before": 0},
        "skipped": {"cuda": "no CUDA device on this machine"},
        "rows": {"fomm": {"native_px": 256, "parameters": 59_790_759, "gflops": 55.55, "cpu 1": cell, "cpu 16": cell}},
    }  # fmt: skip
    text = page(report)
    assert "| fomm | 256 | 59.8 M | 55.5 | 2.5 | 2.5 |" in text or "| fomm | 256 | 59.8 M | 55.6 | 2.5 | 2.5 |" in text
    assert "CUDA: not measured, no CUDA device on this machine." in text
    assert "the generator alone at most 6 ms (not measured)" in text
    cell["ms_per_image"] = 5.0
    report["rows"] |= {name: report["rows"]["fomm"] | {"cuda 1": cell} for name in (GENERATOR, STREAM)}
    assert "6 ms (5.00)" in page(report)
    assert "100 frames a second (200)" in page(report)
