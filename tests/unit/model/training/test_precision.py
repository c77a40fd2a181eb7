"""Under bfloat16 autocast what must be float32 is; what torch.compile could take traces whole."""

from collections import defaultdict

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from model.training.loop import Players, Steps
from tests.toy_networks import CPU, batch_at, lesson, maps, networks, train_config

# sampling, products of the spectral norm, means that losses are made of
WIDE = ("grid_sampler_2d", "grid_sampler_2d_backward", "mv", "vdot", "dot", "mean", "linalg_vector_norm")


class Watched(TorchDispatchMode):
    """Notes the dtypes that each operation is given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, set[torch.dtype]] = defaultdict(set)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        floats = [a.dtype for a in args if isinstance(a, torch.Tensor) and a.is_floating_point()]
        self.seen[func.overloadpacket.__name__] |= set(floats)
        return func(*args, **(kwargs or {}))


def test_sampling_spectral_norms_and_sums_stay_wide_under_autocast():
    config = train_config(precision="bfloat16")
    made = lesson()
    made.network.train(), made.rivals.train()
    players = Players.make(made, config, CPU)
    with Watched() as watched:
        Steps(players, config, CPU).take(batch_at(0))
    assert torch.bfloat16 in watched.seen["convolution"]  # autocast is on
    seen = {name: watched.seen[name] for name in WIDE if name in watched.seen}
    assert {"grid_sampler_2d", "mv", "mean"} <= seen.keys()
    assert {name: dtypes for name, dtypes in seen.items() if dtypes != {torch.float32}} == {}


@pytest.mark.parametrize("name", ["geom_disp", "neural_codes", "nmfc"])
def test_generator_and_perceptual_loss_trace_whole_and_do_the_same(name: str):
    torch.compiler.reset()
    batch, results = batch_at(0), []
    for compiled in (False, True):
        animator, _, perceptual = networks(name)
        animator.train()
        drawn = maps(animator.guidance.driving_channels, animator.guidance.source_channels)
        generator = animator.generator
        measure = perceptual.pyramid
        if compiled:
            generator = torch.compile(generator, backend="aot_eager", fullgraph=True)
            measure = torch.compile(measure, backend="aot_eager", fullgraph=True)
        out = generator(batch.source, drawn)
        loss = sum(m.square().mean() for level in measure(out.image) for m in level) + out.warped.mean()
        loss.backward()
        results.append([loss.detach(), *(p.grad for p in animator.generator.parameters() if p.grad is not None)])
    torch.testing.assert_close(results[1], results[0], rtol=1e-4, atol=1e-6)
