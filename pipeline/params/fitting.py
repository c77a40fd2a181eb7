"""Typed parameters of the fit stage: which tracker, what counts as a good fit, what the fitter weighs."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.params.strict import Strict

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
TrackerName = Literal["deca", "deep3d", "landmarks", "mesh", "puppet_tracker"]  # keys of pipeline/trackers/table.py
Steps = Annotated[int, Field(ge=1)]


class LandmarkFitParams(Strict):
    """The least-squares fitter; each key is explained in `model.trackers.landmark_fit.FitSettings`."""

    landmark_sigma: Positive
    contour_weight: Share
    hidden_yaw_deg: Annotated[float, Field(gt=0, le=90)]
    huber_sigmas: Positive
    shape_sigma: Positive
    expression_sigma: Positive
    joint_sigma_rad: Positive
    identity_frames: Steps
    identity_steps: Steps
    frame_steps: Steps


class FitParams(Strict):
    """How every frame of every clip is fitted.

    Attributes:
        tracker: a key of `pipeline.trackers.table.TRACKERS`; it fits `bench.head`.
        second_tracker: another, or the same; it fits `bench.head2`.
        min_score: frames that the tracker or the landmark table scores lower are `low_score`.
        max_residual: frames whose rms landmark distance, in outer-eye distances, is larger are `high_residual`.
        max_fail_rate: share of frames that may have another status than `ok` before the stage fails.
        landmark_fit: settings of the tracker `landmarks`.
    """

    tracker: TrackerName
    second_tracker: TrackerName
    min_score: Share
    max_residual: Positive
    max_fail_rate: Share
    landmark_fit: LandmarkFitParams
