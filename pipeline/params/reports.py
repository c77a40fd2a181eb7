"""Typed parameters of evaluation, metrics and reports (sections of params.yaml)."""

from collections import Counter
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from pipeline.instrument_table import instruments_of
from pipeline.params.strict import Strict


def _listed(value: Any) -> Any:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not names:
        raise PydanticCustomError("no_backend", "Input should be a backend's name or a list of such names")
    return names


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    doubled = [name for name, count in Counter(names).items() if count > 1]
    if doubled:
        said = {"names": ", ".join(doubled)}
        raise PydanticCustomError("doubled_backend", "{names} named twice: a backend is one column of a metric", said)
    return names


def _measuring(metric: str) -> AfterValidator:
    """Accept instruments of a metric only."""

    def check(names: tuple[str, ...]) -> tuple[str, ...]:
        there = instruments_of(metric)
        for name in names:
            if name not in there:
                said = {"name": name, "there": ", ".join(there)}
                raise PydanticCustomError("unknown_backend", "Input should be one of {there}, not '{name}'", said)
        return names

    return AfterValidator(check)


# One name, or a list of distinct ones: tables print the first, scores.csv has all.
Names = Annotated[tuple[str, ...], BeforeValidator(_listed), AfterValidator(_distinct)]


class PooledBackend(Strict):
    """Backends of FID: networks with pooled features."""

    backend: Annotated[Names, _measuring("fid")]


class IdentityBackend(Strict):
    """Backends of CSIM: networks with an identity embedding."""

    backend: Annotated[Names, _measuring("csim")]


class LandmarkBackend(Strict):
    """Backends of AKD: detectors of 68 landmarks."""

    backend: Annotated[Names, _measuring("akd")]


class HeadBackends(Strict):
    """Backends of AED and APD: trackers for the first head and for the second (Table 3)."""

    backend: Annotated[Names, _measuring("aed")]
    second_backend: Annotated[Names, _measuring("aed")]


class PixelBackend(Strict):
    """L1 and SSIM compare pixels and need no network."""

    backend: Annotated[Names, _measuring("l1")]


class PerceptualBackend(Strict):
    """Backends of LPIPS: networks with feature maps."""

    backend: Annotated[Names, _measuring("lpips")]


class FeatureBackend(Strict):
    """Backends of the distance of feature maps that is not LPIPS: networks without weights learnt from people."""

    backend: Annotated[Names, _measuring("feature_distance")]


class MetricParams(Strict):
    """Section `metrics`: which networks measure each metric, a column each; tables print the first.

    The two distances of feature maps may be null: a profile prints the one that it can measure.
    """

    fid: PooledBackend
    csim: IdentityBackend
    akd: LandmarkBackend
    aed: HeadBackends
    apd: HeadBackends
    l1: PixelBackend
    ssim: PixelBackend
    lpips: PerceptualBackend | None
    feature_distance: FeatureBackend | None


class EvaluateParams(Strict):
    """Section `evaluate`.

    Attributes:
        batch_size: images a forward pass while generating and measuring; changes no score.
    """

    batch_size: int = Field(ge=1)


class ReportParams(Strict):
    """Section `report`.

    Attributes:
        reference: the row that differences.csv compares the others with, beside `copy source`: a row's key, or the
            guidance of a PWM row on `bench.recipe` and `bench.head`. Named before the numbers are seen.
        coverage_draws: times that a table's people are drawn anew to see whether its intervals cover (footer).
        min_people: with fewer people a cell prints n instead of an interval.
        paper_beside: put the paper's numbers beside ours (only where the data are the paper's).
        embed_pictures: copy the contact sheets into index.html (never for pictures of real people).
        sheet_pairs: pairs of each task shown on a contact sheet.
    """

    reference: str
    coverage_draws: int = Field(ge=100)
    min_people: int = Field(ge=2)
    paper_beside: bool
    embed_pictures: bool
    sheet_pairs: int = Field(ge=1)
