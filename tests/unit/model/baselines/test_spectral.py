"""Published networks' spectral norms: torch's own, but never computed in bfloat16."""

import pytest
import torch
from torch import nn
from torch.nn.utils import spectral_norm as torch_s
from torch.nn.utils.spectral_norm import SpectralNorm

from model.baselines.bilayer.network import BiLayer
from model.baselines.fomm3d.network import Fomm3d
from model.baselines.headgan.network import HeadGan, HeadGanConfig
from model.baselines.shared.spectral import WideSpectralNorm, spectral_norm
from tests.published_networks import drawn_inputs

SIDE, STEPS = 32, 3
LAYERS = {
    "convolution": (lambda: nn.Conv2d(3, 5, 3), (2, 3, 6, 7)),
    "linear": (lambda: nn.Linear(4, 6), (2, 4)),
}


def made(kind: str, normalise) -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    layer, shape = LAYERS[kind]
    return normalise(layer(), eps=1e-7), torch.rand(shape)


@pytest.mark.parametrize("kind", LAYERS)
def test_it_is_torchs_digit_for_digit(kind):
    found = []
    for normalise in (spectral_norm, torch_s):
        layer, x = made(kind, normalise)
        outputs = [layer(x) for _ in range(STEPS)]
        sum(out.square().mean() for out in outputs).backward()
        layer.eval()
        found.append({**layer.state_dict(), "gradient": layer.weight_orig.grad, "out": layer(x)})
    ours, theirs = found
    assert list(ours) == list(theirs)
    assert {"weight_orig", "weight_u", "weight_v"} < ours.keys()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def normalised(network: nn.Module) -> dict[str, nn.Module]:
    """The layers under an old spectral norm, by name."""
    hooked = {name: module._forward_pre_hooks.values() for name, module in network.named_modules()}
    return {
        name: network.get_submodule(name)
        for name, hooks in hooked.items()
        if any(isinstance(hook, SpectralNorm) for hook in hooks)
    }


def test_under_autocast_vectors_norms_and_weights_are_those_without(on_device):
    """Of a whole network in training: a hook sees each layer's weight as it is used."""
    config, found = HeadGanConfig(native_px=SIDE, bottom_px=8, channels=4, hidden=8, audio=6), []
    shapes = {"driving_nmfc": (9, SIDE, SIDE), "source_nmfc": (3, SIDE, SIDE), "audio": (6,)}
    for narrow in (True, False):
        torch.manual_seed(0)
        network = on_device(HeadGan(config)).train()
        seen: dict[str, tuple[torch.Tensor, ...]] = {}
        results = set()

        def look(layer, _inputs, out, name="", seen=seen, results=results):
            sigma = layer.weight_orig.detach() / layer.weight.detach()
            seen[name] = tuple(t.detach().clone() for t in (layer.weight_u, layer.weight_v, layer.weight, sigma))
            results.add(out.dtype)

        layers = normalised(network)
        assert len(layers) > 10
        for name, layer in layers.items():
            layer.register_forward_hook(lambda *args, name=name, look=look: look(*args, name=name))
        source, signals = on_device(drawn_inputs(network, shapes))
        with torch.autocast(on_device.device.type, torch.bfloat16, enabled=narrow):
            network(source, signals)
        assert results == {torch.bfloat16 if narrow else torch.float32}
        assert seen.keys() == layers.keys()
        found.append(seen)
    for name, wanted in found[1].items():
        for value, plain in zip(found[0][name], wanted, strict=True):
            assert value.dtype == torch.float32
            assert torch.equal(value, plain), name


@pytest.mark.parametrize("network", [HeadGan, Fomm3d, BiLayer])
def test_no_published_network_has_one_that_autocast_reaches(network):
    with torch.device("meta"):
        layers = normalised(network())
    hooks = [hook for layer in layers.values() for hook in layer._forward_pre_hooks.values()]
    assert hooks
    assert {type(hook) for hook in hooks if isinstance(hook, SpectralNorm)} == {WideSpectralNorm}
