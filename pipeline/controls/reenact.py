"""The control row `true reenactment`: what a perfect method would show for cross identity.

The source person is rendered with the driving frame's true pose, expression and camera, in the source
clip's light and before its background. Everything is retargeted as for the generator (model/heads/retarget.py),
only from true codes instead of fits.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from model.heads.fit import HeadFit
from model.heads.head import load_head
from model.heads.retarget import retarget
from pipeline.bench.pair_frames import PairFrames
from pipeline.params.puppets import PuppetParams
from pipeline.puppets.clip import make_clip, plan_corpus
from pipeline.puppets.people import Person
from pipeline.puppets.render import Camera
from pipeline.puppets.scene import Studio
from pipeline.puppets.video import HEADS
from pipeline.store.clips import ClipStore, from_video_ndc
from pipeline.store.compute.threads import in_threads, streamed, workers_on

SUPERSAMPLE = 3  # pixels rendered per pixel and axis: the clips come from videos of at least 480 px
BATCH = 4  # frames posed at once


@dataclass(frozen=True)
class _Filmed:
    """A clip of the test set with its truth: `fit` has one row a clip frame, in the clip's frame."""

    person: Person
    fit: HeadFit


def true_reenactment(params: PuppetParams, pairs: PairFrames, clips: Path) -> Iterator[np.ndarray]:
    """Render cross-identity pairs from true codes.

    Args:
        params: section `puppets`, from which every corpus follows.
        pairs: cross-identity pairs.
        clips: the evaluation clips.

    Yields:
        (n, H, W, 3) uint8 RGB frames, in the pairs' order, some at a time. What is held follows from how far the
        pairs of one source person lie apart in the list, which in ours is not at all.

    Raises:
        ValueError: a clip's video belongs to no corpus of `params`.
    """
    studio = Studio(load_head(HEADS / "puppet.npz"), params.texture_size)
    truth = _truth(params, pairs.clips, clips, studio)
    film = Camera(studio)

    def of_clip(clip: str) -> Iterator[tuple[int, np.ndarray]]:
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
            yield from zip(part.tolist(), [picture.image for picture in pictures], strict=True)

    def of_person(person: str) -> dict[int, np.ndarray]:
        clips_of = dict.fromkeys(pairs.source_clip[pairs.source_person == person].tolist())
        return {row: image for clip in clips_of for row, image in of_clip(clip)}

    waiting: dict[int, np.ndarray] = {}
    done = 0
    for made in streamed(of_person, dict.fromkeys(pairs.source_person.tolist()), workers_on(torch.device("cpu"))):
        waiting |= made
        ready = []
        while done in waiting:
            ready.append(waiting.pop(done))
            done += 1
        if ready:
            yield np.stack(ready)


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
    films = in_threads(filmed, rows, workers_on(torch.device("cpu")))
    return dict(zip([row["clip"] for row in rows], films, strict=True))


def _compose(outer: torch.Tensor, inner: torch.Tensor) -> torch.Tensor:
    """Row-major 2x3 map (B, 6) that applies `inner` (B, 6) first and `outer` (6,) then."""
    a, b = outer.reshape(2, 3), inner.reshape(-1, 2, 3)
    linear = a[:, :2] @ b[:, :, :2]
    shift = (a[:, :2] @ b[:, :, 2:]) + a[:, 2:]
    return torch.cat([linear, shift], 2).flatten(1)
