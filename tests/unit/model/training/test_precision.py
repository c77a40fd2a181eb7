"""Under bfloat16 autocast what must be float32 is."""

from collections import defaultdict

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from model.training.loop import Players, Steps
from tests.toy_networks import CPU, batch_at, lesson, train_config

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
