"""The control row `true reenactment`: what a perfect method would show for cross identity.

The source person is rendered with the driving frame's true pose, expression and camera, in the source
clip's light and before its background. Everything is retargeted as for the generator (model/retarget.py),
only from true codes instead of fits.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from model.heads.fit import HeadFit
from model.heads.head import load_head
from model.retarget import retarget
from pipeline.bench.pair_frames import PairFrames
from pipeline.params.puppets import PuppetParams
from pipeline.puppets.clip import make_clip, plan_corpus
from pipeline.puppets.people import Person
from pipeline.puppets.render import Camera
from pipeline.puppets.scene import Studio
from pipeline.puppets.video import HEADS
from pipeline.store.clips import ClipStore, from_video_ndc
from pipeline.store.threads import in_threads, workers_on

SUPERSAMPLE = 3  # pixels rendered per pixel and axis: the clips come from videos of at least 480 px
BATCH = 4  # frames posed at once


@dataclass(frozen=True)
class _Filmed:
    """A clip of the test set with its truth: `fit` has one row a clip frame, in the clip's frame."""

    person: Person
    fit: HeadFit


def true_reenactment(params: PuppetParams, pairs: PairFrames, clips: Path) -> np.ndarray:
    """Render cross-identity pairs from true codes.

    Args:
        params: section `puppets`, from which every corpus follows.
        pairs: cross-identity pairs.
        clips: the evaluation clips.

    Returns:
        (N, H, W, 3) uint8 RGB frames, in the pairs' order.

    Raises:
        ValueError: a clip's video belongs to no corpus of `params`.
    """
    studio = Studio(load_head(HEADS / "puppet.npz"), params.texture_size)
    truth = _truth(params, set(pairs.source_clip) | set(pairs.driving_clip), clips, studio)
    frames = np.empty_like(pairs.source_u8)
    film = Camera(studio)

    def of_source(clip: str) -> None:
        rows = np.flatnonzero(pairs.source_clip == clip)
        actor = studio.dress(truth[clip].person)
        for part in np.array_split(rows, -(-len(rows) // BATCH)):
            source = truth[clip].fit[pairs.source_frame[part].tolist()]
            driving = HeadFit.cat(
                [
                    truth[name].fit[[int(frame)]]
                    for name, frame in zip(pairs.driving_clip[part], pairs.driving_frame[part], strict=True)
                ]
            )
            fit = retarget(source, driving, False, studio.head)
            pictures = film.film(
                actor, fit.shape, fit.expression, fit.pose, fit.camera, pairs.size_hw,
                fit.tracker_map.numpy(), source.tracker_map.numpy(), SUPERSAMPLE,
            )  # fmt: skip
            frames[part] = np.stack([picture.image for picture in pictures])

    in_threads(of_source, dict.fromkeys(pairs.source_clip.tolist()), workers_on("cpu"))
    return frames


def _truth(params: PuppetParams, wanted: set[str], clips: Path, studio: Studio) -> dict[str, _Filmed]:
    """True codes of the wanted clips, placed in the clips' frames."""
    plans = {plan.video: plan for corpus in params.corpora.values() for plan in plan_corpus(params, corpus)}

    def filmed(row: dict) -> _Filmed:
        if row["video"] not in plans:
            raise ValueError(f"the video of clip {row['clip']} belongs to no puppet corpus of params.yaml")
        made = make_clip(plans[row["video"]], studio, params)
        size_wh = (row["source_width"], row["source_height"])
        to_clip = torch.tensor(from_video_ndc(row["crop_map"], size_wh)).float()
        fit = made.fit[row["frame_index"]]
        placed = fit.replace(tracker_map=_compose(to_clip, fit.tracker_map))
        return _Filmed(made.person, placed)

    rows = [row for row in ClipStore(clips).index.to_pylist() if row["clip"] in wanted]
    return dict(zip([row["clip"] for row in rows], in_threads(filmed, rows, workers_on("cpu")), strict=True))


def _compose(outer: torch.Tensor, inner: torch.Tensor) -> torch.Tensor:
    """Row-major 2x3 map (B, 6) that applies `inner` (B, 6) first and `outer` (6,) then."""
    a, b = outer.reshape(2, 3), inner.reshape(-1, 2, 3)
    linear = a[:, :2] @ b[:, :, :2]
    shift = (a[:, :2] @ b[:, :, 2:]) + a[:, 2:]
    return torch.cat([linear, shift], 2).flatten(1)
