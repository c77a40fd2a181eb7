"""Typed parameters of evaluation, metrics and reports (sections of params.yaml)."""

from typing import Literal

from pydantic import Field

from pipeline.params.strict import Strict


class PooledBackend(Strict):
    """Backend of FID: a network with pooled features."""

    backend: Literal["puppet_judge", "inception"]


class IdentityBackend(Strict):
    """Backend of CSIM: a network with an identity embedding."""

    backend: Literal["puppet_judge", "arcface"]


class LandmarkBackend(Strict):
    """Backend of AKD: a detector of 68 landmarks."""

    backend: Literal["puppet_judge", "fan"]


HeadBackend = Literal["puppet_tracker", "deca", "deep3d", "landmarks"]


class HeadBackends(Strict):
    """Backends of AED and APD: a tracker for the first head and one for the second (Table 3)."""

    backend: HeadBackend
    second_backend: HeadBackend


class PixelBackend(Strict):
    """L1 and SSIM compare pixels and need no network."""

    backend: Literal["pixels"]


class PerceptualBackend(Strict):
    """Backend of LPIPS: a network with feature maps."""

    backend: Literal["puppet_judge", "lpips_alex"]


class MetricParams(Strict):
    """Section `metrics`: which network stands behind each column."""

    fid: PooledBackend
    csim: IdentityBackend
    akd: LandmarkBackend
    aed: HeadBackends
    apd: HeadBackends
    l1: PixelBackend
    ssim: PixelBackend
    lpips: PerceptualBackend


class EvaluateParams(Strict):
    """Section `evaluate`.

    Attributes:
        batch_size: images a forward pass while generating and measuring; changes no score.
    """

    batch_size: int = Field(ge=1)


class ReportParams(Strict):
    """Section `report`.

    Attributes:
        bootstrap_draws: resamplings of the source people behind an interval.
        bootstrap_seed: seed of those draws.
        min_people: with fewer source people a cell prints n instead of an interval.
        paper_beside: put the paper's numbers beside ours (only where the data are the paper's).
        embed_pictures: copy the contact sheets into index.html (never for pictures of real people).
        sheet_pairs: pairs of each task shown on a contact sheet.
    """

    bootstrap_draws: int = Field(ge=100)
    bootstrap_seed: int
    min_people: int = Field(ge=2)
    paper_beside: bool
    embed_pictures: bool
    sheet_pairs: int = Field(ge=1)
