"""FOMM, with both meanings of the corners."""

import torch
from torch import Tensor

from model.baselines.fomm.network import Fomm, FommConfig
from tests.parity.compare import Output
from tests.parity.golden import Fixture
from tests.parity.networks import PRECISIONS, check_complete, compared_all, compared_input, drawn
from tests.parity.regressors import load

PARTS = {"kp_detector": "vox_256_kp_detector", "generator": "vox_256_generator"}


@torch.no_grad()
def check(fixture: Fixture, precisions: tuple[torch.dtype, ...] = PRECISIONS) -> list[Output]:
    """Keypoints of both images, and everything that the generator returns, by default in float32 and float64."""
    golden = fixture.arrays()
    first = Fomm(FommConfig(align_corners=False))
    for part, manifest in PARTS.items():
        load(fixture, manifest, getattr(first, part))
    with torch.device("meta"):
        second = Fomm(FommConfig(align_corners=True))
    second.load_state_dict(first.state_dict(), assign=True)  # the same tensors
    source, driving = (drawn(fixture, name, first.native_px) for name in ("source", "driving"))
    outputs = [compared_input("input_source", source, golden), compared_input("input_driving", driving, golden)]
    names: set[str] = set()
    for precision in precisions:
        for network in (first, second):
            made = network.eval().to(precision)(source.to(precision), {"driving": driving.to(precision)})
            named = _named(made.image, made.own, "_ac_true" if network.config.align_corners else "_ac_false")
            outputs += compared_all(named, golden)
            names |= set(named)
    check_complete(names, golden)
    return outputs


def _named(image: Tensor, inside: object, suffix: str) -> dict[str, Tensor]:
    found = {"prediction": image, "occlusion_map": inside.occlusion}
    found |= {name: getattr(inside, name) for name in ("deformed", "mask", "sparse_deformed")}
    return {f"{name}{suffix}": value for name, value in found.items()} | {
        "kp_source_value": inside.source.value,
        "kp_source_jacobian": inside.source.jacobian,
        "kp_driving_value": inside.driving.value,
        "kp_driving_jacobian": inside.driving.jacobian,
    }
