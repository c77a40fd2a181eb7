"""Metrics and backends by name, and the list of measurements a profile asks for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipeline.instrument_table import INSTRUMENTS
from pipeline.metrics.protocols import Backend, BackendUnavailable, Metric, Opening, Size, reason_of
from pipeline.params.reports import HeadBackends, MetricParams
from pipeline.store.assets import AssetRefused
from pipeline.store.registry import resolve

METRICS = {
    "fid": "pipeline.metrics.fid:FrechetDistance",
    "csim": "pipeline.metrics.csim:CosineSimilarity",
    "akd": "pipeline.metrics.akd:KeypointDistance",
    "aed": "pipeline.metrics.head_codes:ExpressionDistance",
    "apd": "pipeline.metrics.head_codes:PoseDistance",
    "l1": "pipeline.metrics.l1:AbsoluteError",
    "ssim": "pipeline.metrics.ssim:StructuralSimilarity",
    "lpips": "pipeline.metrics.lpips:PerceptualDistance",
    "feature_distance": "pipeline.metrics.feature_distance:FeatureDistance",
}

# Columns beside the paper's, each measured by the backends of one of those; `yaw_gap` only sorts pairs.
FURTHER = {
    "psnr": "pipeline.metrics.psnr:PeakSignalToNoise",
    "ms_ssim": "pipeline.metrics.ssim:MultiScaleSimilarity",
    "kid": "pipeline.metrics.kid:KernelDistance",
    "csim_driver": "pipeline.metrics.csim:DriverSimilarity",
    "nme": "pipeline.metrics.akd:NormalisedError",
    "yaw_gap": "pipeline.metrics.head_codes:YawGap",
}
FOLLOWS = {"psnr": "l1", "ms_ssim": "ssim", "kid": "fid", "csim_driver": "csim", "nme": "akd", "yaw_gap": "apd"}

BACKENDS = {name: instrument.target for name, instrument in INSTRUMENTS.items()}


@dataclass(frozen=True)
class Measure:
    """A metric with its backend, ready to run or with the reason why it cannot.

    Attributes:
        id: metric id, e.g. `aed[puppet_tracker,puppet]`.
        metric: the metric's class (its constants describe the column).
        backend_name: key in `BACKENDS`.
        head: head that a tracker fits; empty for other backends.
        backend: the loaded backend, None when it cannot run.
        reason: why there is no number; empty when there is one.
    """

    id: str
    metric: type[Metric]
    backend_name: str
    head: str
    backend: Backend | None
    reason: str

    @property
    def opened(self) -> Backend:
        """The backend, of a measure that can run."""
        assert self.backend is not None, f"{self.id} cannot run: {self.reason}"
        return self.backend

    @property
    def reading(self) -> str:
        """What the metric asks of the backend; a tracker has one reading a head."""
        return f"{self.metric.reading}:{self.head}" if self.head else self.metric.reading

    def describe(self) -> dict[str, object]:
        """Facts about this column for the scores' metadata."""
        return {
            "id": self.id,
            "name": self.metric.name,
            "label": self.metric.label,
            "backend": self.backend_name,
            "head": self.head,
            "higher_is_better": self.metric.higher_is_better,
            "digits": self.metric.digits,
            "of_sets": self.metric.of_sets,
            "features_of": getattr(self.metric, "features_of", ""),
            "tasks": sorted(self.metric.against),
            "weights_sha256": self.backend.weights_sha256 if self.backend else "",
            "reason": self.reason,
        }


def wanted(settings: MetricParams, heads: tuple[str, str]) -> list[tuple[str, str, str]]:
    """List (metric, backend, head) of all columns, a metric's backends in the order of params.yaml.

    AED and APD are measured on both heads (Table 3). A metric that is null has none.
    """
    columns = []
    for name in METRICS:
        choice = getattr(settings, name)
        if choice is None:
            continue
        columns_of = [(choice.backend, "")]
        if isinstance(choice, HeadBackends):
            columns_of = [(choice.backend, heads[0]), (choice.second_backend, heads[1])]
        columns += [(name, backend, head) for backends, head in columns_of for backend in backends]
    return columns


def further(columns: Sequence[tuple[str, str, str]], first_head: str) -> list[tuple[str, str, str]]:
    """List (metric, backend, head) of the further columns, given the others; a tracker's are of the first head."""
    return [
        (name, backend, head)
        for name, leader in FOLLOWS.items()
        for metric, backend, head in columns
        if metric == leader and head in ("", first_head)
    ]


def metric_named(name: str) -> type[Metric]:
    """A metric's class.

    Raises:
        ValueError: there is none of this name.
    """
    found: type[Metric] = resolve({**METRICS, **FURTHER}, name, "metric")
    return found


def open_measures(settings: MetricParams, heads: tuple[str, str], size_hw: Size, opening: Opening) -> list[Measure]:
    """Open every backend once and pair it with its metrics, one measure a column of `wanted` and `further`.

    A backend is opened for the heads that it is to measure, which for most is none. One that cannot run does not stop
    the others: its measures carry the reason instead. One that aligns faces is given AKD's first backend, whatever
    that is.

    Args:
        settings: section `metrics`.
        heads: the two heads that AED and APD are measured on.
        size_hw: height and width of the clips.
        opening: what backends may need.
    """
    opened: dict[str, tuple[Backend | None, str]] = {}
    measures = []
    columns = wanted(settings, heads)

    def open_once(backend_name: str) -> tuple[Backend | None, str]:
        if backend_name not in opened:
            measured = {one for _, backend, one in columns if backend == backend_name}
            own = {one: path for one, path in opening.heads.items() if one in measured}
            opened[backend_name] = _open(backend_name, replace(opening, heads=own, landmarks=landmarks))
        return opened[backend_name]

    def landmarks() -> Backend:
        finder, reason = open_once(settings.akd.backend[0])
        if finder is None:
            raise BackendUnavailable(f"faces are aligned by the points that AKD measures with: {reason}")
        return finder

    for name, backend_name, head in [*columns, *further(columns, heads[0])]:
        backend, reason = open_once(backend_name)
        metric = metric_named(name)
        if not reason and (undefined := getattr(metric, "undefined", None)) and (reason := undefined(size_hw)):
            backend = None
        measure_id = metric.metric_id(backend_name, head, size_hw)
        measures.append(Measure(measure_id, metric, backend_name, head, backend, reason))
    return measures


def _open(backend_name: str, opening: Opening) -> tuple[Backend | None, str]:
    try:
        return resolve(BACKENDS, backend_name, "metric backend").open(opening), ""
    except AssetRefused:  # not a column's fault: any number would be kept under a wrong name
        raise
    except Exception as error:  # noqa: BLE001 - what a backend raises is its own; the other columns do not depend on it
        return None, reason_of(backend_name, error)
