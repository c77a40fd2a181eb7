"""Every instrument by name: its class, the metrics that it can stand behind, and the imported weights it uses.

A new instrument is its file in `pipeline/metrics/backends` and its line here. The table lies below the parameters,
which read from it what a metric may be measured with; classes are named, not imported, since they load torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

_FAN = ("fan", "s3fd")  # of everything that looks for 68 points with FAN
_PUPPETS = ("fid", "csim", "akd", "lpips")
_HEAD = ("aed", "apd")  # what is measured by fitting a head: by a tracker of `pipeline.trackers.table`


@dataclass(frozen=True)
class Instrument:
    """One instrument.

    Attributes:
        target: its class, `module:Class` (protocol `pipeline.metrics.protocols.Backend`).
        metrics: keys of the section `metrics` that may name it.
        weights: assets that it uses (`pipeline.assets`), its own network's first. Those of another instrument that it
            asks for, such as AKD's to align faces, stand with that one.
    """

    target: str
    metrics: tuple[str, ...]
    weights: tuple[str, ...] = ()


INSTRUMENTS: Mapping[str, Instrument] = MappingProxyType(
    {
        "pixels": Instrument("pipeline.metrics.backends.pixels:Pixels", ("l1", "ssim")),
        "puppet_judge": Instrument("pipeline.metrics.backends.puppet_judge:PuppetJudgeBackend", _PUPPETS),
        "puppet_tracker": Instrument("pipeline.metrics.backends.puppet_tracker:PuppetTrackerBackend", _HEAD),
        "inception": Instrument("pipeline.metrics.backends.inception:Inception", ("fid",), ("inception",)),
        "arcface": Instrument("pipeline.metrics.backends.arcface:ArcFace", ("csim",), ("arcface", *_FAN)),
        "fan": Instrument("pipeline.metrics.backends.fan:Fan", ("akd",), _FAN),
        "lpips_alex": Instrument("pipeline.metrics.backends.lpips_alex:LpipsAlex", ("lpips",), ("lpips_alex",)),
        "dlib_resnet": Instrument("pipeline.metrics.backends.dlib_resnet:DlibFaces", ("csim",), ("dlib_resnet",)),
        "efficientnet_lite0": Instrument(
            "pipeline.metrics.backends.efficientnet_lite0:Lite0", ("fid", "feature_distance"), ("efficientnet_lite0",)
        ),
        "deca": Instrument("pipeline.metrics.backends.trackers:Deca", _HEAD, ("deca", *_FAN)),
        "deep3d": Instrument("pipeline.metrics.backends.trackers:Deep3D", _HEAD, ("deep3d", *_FAN)),
        "landmarks": Instrument("pipeline.metrics.backends.trackers:Landmarks", _HEAD),
        "mesh": Instrument("pipeline.metrics.backends.mesh:Mesh", ("akd", *_HEAD), ("face_mesh", "blazeface")),
    }
)


def instruments_of(metric: str) -> list[str]:
    """Names of the instruments that a metric may be measured with."""
    return [name for name, instrument in INSTRUMENTS.items() if metric in instrument.metrics]
