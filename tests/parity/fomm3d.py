"""3D-FOMM with the SPADE decoder: keypoints, poses, masks and the image."""

from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from model.baselines.fomm3d.network import Fomm3d
from model.baselines.fomm3d.pose import Pose, to_degrees
from tests.parity.compare import Output
from tests.parity.golden import Fixture
from tests.parity.networks import PRECISIONS, check_complete, compared_all, compared_input, drawn
from tests.parity.regressors import load

PARTS = {"kp_detector": "fv2v_kp_detector", "he_estimator": "fv2v_he_estimator", "generator": "fv2v_generator_spade"}


@torch.no_grad()
def check(fixture: Fixture, precisions: tuple[torch.dtype, ...] = PRECISIONS) -> list[Output]:
    """Every stored output, by default in float32 and float64."""
    golden, network = fixture.arrays(), Fomm3d()
    for part, manifest in PARTS.items():
        load(fixture, manifest, getattr(network, part))
    source, driving = (drawn(fixture, name, network.native_px) for name in ("source", "driving"))
    outputs = [compared_input("input_source", source, golden), compared_input("input_driving", driving, golden)]
    for precision in precisions:
        with FlatConvolutions() if precision == torch.float64 else nullcontext():
            made = network.eval().to(precision)(source.to(precision), {"driving": driving.to(precision)})
        inside = made.own
        found = {
            "kp_canonical_value": inside.canonical.value,
            "kp_source_value": inside.source.value,
            "kp_driving_value": inside.driving.value,
            **_pose("he_source", inside.source_pose),
            **_pose("he_driving", inside.driving_pose),
            "prediction": made.image,
            "occlusion_map": inside.occlusion,
            "mask": inside.mask,
        }
        check_complete(set(found), golden)
        outputs += compared_all(found, golden)
    return outputs


def _pose(prefix: str, pose: Pose) -> dict[str, Tensor]:
    named = {f"{prefix}_{name}": value for name, value in pose._asdict().items()}
    return named | {f"{prefix}_{name}_degree": to_degrees(getattr(pose, name)) for name in ("yaw", "pitch", "roll")}


class FlatConvolutions(TorchFunctionMode):
    """Convolutions of volumes, slice by slice: on a CPU torch would unfold the largest in float64 to 20 GB."""

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        """Replace `conv3d`, and leave everything else as it is."""
        return _convolve(*args) if func is F.conv3d else func(*args, **(kwargs or {}))


def _convolve(volume: Tensor, weight: Tensor, bias: Tensor, stride: Any, padding: tuple, *more: Any) -> Tensor:
    """The convolution of stride 1 that all of the network's are: (B, C, D, H, W) -> (B, O, D, H, W)."""
    pad, depth = padding[0], volume.shape[2]
    slices = F.pad(volume, (0, 0, 0, 0, pad, pad)).unbind(2)
    taps = [tap.contiguous() for tap in weight.unbind(2)]
    out = [sum(F.conv2d(slices[z + i], tap, padding=padding[1:]) for i, tap in enumerate(taps)) for z in range(depth)]
    return torch.stack(out, 2) + bias[:, None, None, None]
