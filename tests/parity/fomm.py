"""FOMM, with both meanings of the corners."""

import torch
from torch import Tensor

from model.baselines.fomm import Fomm, FommConfig
from tests.parity.compare import Output
from tests.parity.golden import Fixture
from tests.parity.published import compare_output, images, load, stored_outputs

PARTS = {"kp_detector": "vox_256_kp_detector", "generator": "vox_256_generator"}


@torch.no_grad()
def check(fixture: Fixture, precisions: tuple[torch.dtype, ...] = (torch.float32, torch.float64)) -> list[Output]:
    """Keypoints of both images, and everything that the generator returns, by default in float32 and float64."""
    golden = fixture.arrays()
    first = Fomm(FommConfig(align_corners=False))
    load(fixture, first, PARTS)
    with torch.device("meta"):
        second = Fomm(FommConfig(align_corners=True))
    second.load_state_dict(first.state_dict(), assign=True)  # the same tensors
    (source, driving), outputs = images(fixture, ["source", "driving"], first.native_px)
    compared = set()
    for precision in precisions:
        for network in (first, second.eval()):
            made = network.to(precision)(source.to(precision), {"driving": driving.to(precision)})
            named = _named(made.image, made.own, "_ac_true" if network.config.align_corners else "_ac_false")
            outputs += [output for name, value in named.items() for output in compare_output(golden, name, value)]
            compared |= set(named)
    if missing := compared ^ set(stored_outputs(golden)):
        raise ValueError(f"outputs that only one side has: {sorted(missing)}")
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
