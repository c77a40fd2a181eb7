"""3D-FOMM with the SPADE decoder: keypoints, poses, masks and the image."""

import torch
from torch import Tensor

from model.baselines.fomm3d import Fomm3d
from model.baselines.fomm3d_pose import Pose, to_degrees
from tests.parity.compare import Output
from tests.parity.golden import Fixture
from tests.parity.published import compare_all, images, load

PARTS = {"kp_detector": "fv2v_kp_detector", "he_estimator": "fv2v_he_estimator", "generator": "fv2v_generator_spade"}


@torch.no_grad()
def check(fixture: Fixture, precisions: tuple[torch.dtype, ...] = (torch.float32, torch.float64)) -> list[Output]:
    """Every stored output, by default in float32 and float64."""
    golden, network = fixture.arrays(), Fomm3d()
    load(fixture, network, PARTS)
    (source, driving), outputs = images(fixture, ["source", "driving"], network.native_px)
    for precision in precisions:
        made = network.to(precision)(source.to(precision), {"driving": driving.to(precision)})
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
        outputs += compare_all(golden, found)
    return outputs


def _pose(prefix: str, pose: Pose) -> dict[str, Tensor]:
    named = {f"{prefix}_{name}": value for name, value in pose._asdict().items()}
    return named | {f"{prefix}_{name}_degree": to_degrees(getattr(pose, name)) for name in ("yaw", "pitch", "roll")}
