"""What torch.compile is given traces whole, and a step that is compiled does what one does that is not."""

import copy

import pytest
import torch
import torch._functorch.config
from torch._dynamo.testing import CompileCounterWithBackend

from model.method.lesson import Lesson
from model.pwm.output import OUTPUTS
from model.training import compiled
from model.training.compiled import compile_parts, failed_to_compile, lacking
from model.training.loop import Players, train_step
from model.training.replicas import Replicas
from model.training.shared_norm import SharedBatchNorm, share_statistics
from tests.devices import GPU, Place
from tests.toy_networks import CPU, EVERY, Trunk, batch_at, lesson, of_output, train_config

PARTS = ["Generator.forward", "Discriminator.distance", "Perceptual.forward", "Perceptual.target"]
DOUBLE, SINGLE = Place("cpu", torch.float64), Place("cpu")
QUICK = ("geom_disp", "paper"), ("geom_disp+neural_codes", "warped_source")
EACH = [
    pytest.param(name, output, marks=() if (name, output) in QUICK else pytest.mark.slow)
    for name in EVERY
    for output in sorted(OUTPUTS)
]
TOLERANCE = 1e-8  # weights that no gradient moves but by rounding take Adam's whole steps, hence not less


@pytest.fixture(autouse=True)
def _as_it_was():
    torch.compiler.reset()
    with torch._functorch.config.patch(donated_buffer=True), torch._dynamo.config.patch(recompile_limit=8):
        yield
    torch.compiler.reset()


def trained(
    taught: Lesson, place: Place = DOUBLE, steps: int = 1, **changes: object
) -> tuple[list[dict[str, float]], dict[str, torch.Tensor]]:
    """Losses of the first steps, and the weights after them."""
    config = train_config(**changes)
    players = Players.make(place(taught), config, CPU)
    losses = [train_step(players, place(batch_at(step)), config, CPU) for step in range(steps)]
    return losses, {**taught.network.state_dict(), **taught.rivals.state_dict()}


def assert_alike(found, wanted) -> None:
    for mine, theirs in zip(found[0], wanted[0], strict=True):
        assert mine == pytest.approx(theirs, rel=TOLERANCE, abs=TOLERANCE)
    assert found[1].keys() == wanted[1].keys()
    torch.testing.assert_close(found[1], wanted[1], rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize(("name", "output"), EACH)
def test_every_part_traces_whole_and_a_step_does_the_same(name: str, output: str):
    plain, compiled_one = (of_output(name, output) for _ in range(2))
    assert compile_parts(compiled_one, "aot_eager", fullgraph=True) == PARTS
    assert_alike(trained(compiled_one), trained(plain))


def test_a_copy_is_as_it_was_written_and_moves_nothing_of_the_original():
    taught = lesson()
    compile_parts(taught, counted := CompileCounterWithBackend("aot_eager"))
    before = {name: value.clone() for name, value in taught.network.state_dict().items()}
    copied = copy.deepcopy(taught)
    copied.losses(batch_at(0)).of["generator"].backward()
    assert counted.frame_count == 0
    assert all(torch.equal(value, before[name]) for name, value in taught.network.state_dict().items())
    assert all(parameter.grad is None for parameter in taught.network.parameters())
    assert any(parameter.grad is not None for parameter in copied.network.parameters())


@pytest.mark.slow
def test_a_step_in_bfloat16_traces_whole_and_once(monkeypatch):
    def features(trunk: Trunk, img: torch.Tensor) -> list[torch.Tensor]:
        one = trunk.first(img)
        return [one, trunk.second(one)]

    monkeypatch.setattr(Trunk, "features", features)  # its own counts its calls, which would be compiled anew each time
    plain, compiled_one = lesson(), lesson()
    counted = CompileCounterWithBackend("aot_eager")
    compile_parts(compiled_one, counted, fullgraph=True)
    wanted, found = (
        trained(one, SINGLE, steps=3, precision="bfloat16", channels_last=True)[0] for one in (plain, compiled_one)
    )
    assert found[0] == pytest.approx(wanted[0], rel=0.05, abs=0.02)
    assert counted.frame_count == len(PARTS)  # no step but the first compiles


@pytest.mark.gpu
@GPU[1]
def test_a_step_on_cuda_is_compiled_and_does_the_same():
    if lacks := lacking():
        pytest.skip(lacks)
    place, results = Place("cuda"), []
    for compiles in (False, True):
        taught = place(lesson())
        if compiles:
            compile_parts(taught)
        config = train_config()
        players = Players.make(taught, config, place.device)
        results.append([train_step(players, place(batch_at(step)), config, place.device) for step in range(2)])
    for mine, theirs in zip(*results, strict=True):
        assert mine == pytest.approx(theirs, rel=1e-2, abs=1e-3)


@pytest.mark.slow
def test_with_shared_statistics_the_norms_stay_outside_and_the_rest_is_compiled():
    """Two processes with the same pairs: each sees the whole in its own."""

    class Twins(Replicas):
        def sum(self, tensor: torch.Tensor) -> None:
            tensor.copy_(tensor.sum(0, keepdim=True).expand_as(tensor) if len(tensor) == 2 else 2 * tensor)

        def average(self, tensors) -> None:
            """They are equal."""

    both = lesson(), lesson()
    for one in both:
        share_statistics(one.network, Twins(0, 2))
    counted = CompileCounterWithBackend("aot_eager")
    compile_parts(both[1], counted)
    assert_alike(trained(both[1]), trained(both[0]))
    norms = [m for m in both[1].network.modules() if isinstance(m, SharedBatchNorm)]
    assert counted.frame_count > len(PARTS)
    traced = [node.target for graph in counted.graphs for node in graph.graph.nodes if node.op == "call_function"]
    assert norms
    assert not [target for target in traced if "batch_norm" in str(target) or "all_reduce" in str(target)]


def test_what_a_machine_lacks_is_named(monkeypatch):
    monkeypatch.setattr(compiled, "find_spec", lambda _name: object())
    monkeypatch.setattr(compiled.shutil, "which", lambda name: f"/bin/{name}" if name == "gcc" else None)
    assert lacking() == ""
    monkeypatch.setattr(compiled.shutil, "which", lambda _name: None)
    assert "no C compiler" in lacking()
    monkeypatch.setattr(compiled, "find_spec", lambda _name: None)
    assert "triton" in lacking()


def test_an_error_of_the_compiler_is_told_from_one_of_the_network():
    def broken(_graph, _inputs):
        raise ZeroDivisionError

    def wrong(x: torch.Tensor) -> torch.Tensor:
        return x @ x[:1]

    for backend, function, told in ((broken, torch.sin, True), ("eager", None, False)):
        with pytest.raises(Exception) as caught:  # noqa: PT011
            torch.compile(function or wrong, backend=backend)(torch.rand(2, 3)) if function else wrong(torch.rand(2, 3))
        assert failed_to_compile(caught.value) is told
