"""The control row `true reenactment`: the source person, rendered with the driving person's true codes.

It is what a perfect method with perfect geometry would make of a cross-identity pair, by the one rule of whose
shape, pose and squeeze (model/retarget.py).
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from model.heads.fit import HeadFit
from model.heads.head import load_head
from model.retarget import retarget
from pipeline.clips import ClipStore
from pipeline.fits import FitTable
from pipeline.pair_frames import PairFrames
from pipeline.params import Params
from pipeline.puppets.clip import plan_corpus
from pipeline.puppets.corpus import HEADS
from pipeline.puppets.people import Person, make_person
from pipeline.puppets.render import Camera
from pipeline.puppets.scene import Studio

TEXTURE_PX = 256  # ample for a face of some 60 px
RENDERED_PX = 192  # clips are box-filtered from about this size


def true_reenactment(params: Params, pairs: PairFrames, clips: Path) -> np.ndarray:
    """Render every pair's source person with the driving frame's true codes.

    Args:
        params: for the corpora's folders and people.
        pairs: N pairs of puppet clips.
        clips: folder of the packed clips that they come from.

    Returns:
        (N, H, W, 3) uint8.

    Raises:
        FileNotFoundError: a corpus has no truth.
        KeyError: a frame or video has no truth.
    """
    studio = Studio(load_head(HEADS / "puppet.npz"), TEXTURE_PX)
    truth = _Truth(params, clips)
    source = truth.fits(pairs.dataset, pairs.source_clip, pairs.source_frame)
    driving = truth.fits(pairs.dataset, pairs.driving_clip, pairs.driving_frame)
    driven = retarget(source, driving, False, studio.head)
    frames = np.zeros((len(pairs), *pairs.size_hw, 3), np.uint8)
    for clip in np.unique(pairs.source_clip):
        rows = np.flatnonzero(pairs.source_clip == clip)
        person = truth.person(pairs.dataset[rows[0]], clip, studio.head.num_shape)
        behind = source.tracker_map[rows[0]].numpy()
        frames[rows] = render_person(studio, person, driven[torch.from_numpy(rows)], behind, pairs.size_hw)
    return frames


def render_person(
    studio: Studio, person: Person, fit: HeadFit, backdrop_map: np.ndarray, size_hw: tuple[int, int]
) -> np.ndarray:
    """Draw a person with any codes, camera and crop: (N, H, W, 3) uint8.

    Args:
        studio: the head that `fit` is written in.
        person: who is drawn; may wear another shape than its own.
        fit: N frames; `tracker_map` takes the camera's ndc to the frame's.
        backdrop_map: (6,) the same map for the person's background.
        size_hw: height and width of the frames.
    """
    actor, supersample = studio.dress(person), max(1, round(RENDERED_PX / min(size_hw)))
    codes = (fit.shape, fit.expression, fit.pose, fit.camera)
    maps = fit.tracker_map.numpy()
    pictures = Camera(studio).film(actor, *codes, size_hw, maps, backdrop_map, supersample)
    return np.stack([picture.image for picture in pictures])


class _Truth:
    """True fits of packed clips, placed in the clips' frames."""

    def __init__(self, params: Params, clips: Path) -> None:
        self._params = params.puppets
        self._rows = {row["clip"]: row for row in ClipStore(clips).index.to_pylist()}
        root = Path(params.data.root)
        self._folders = {source.name: root / source.folder for source in (params.data.first, params.data.second)}
        self._tables: dict[str, FitTable] = {}

    def fits(self, dataset: np.ndarray, clip: np.ndarray, frame: np.ndarray) -> HeadFit:
        """True fits of N clip frames; `tracker_map` leads to the clip's ndc."""
        return HeadFit.cat([self._fit(*key) for key in zip(dataset, clip, frame, strict=True)])

    def _fit(self, dataset: str, clip: str, frame: int) -> HeadFit:
        if dataset not in self._tables:
            self._tables[dataset] = FitTable.read(self._folders[dataset] / "truth" / "puppet.parquet")
        info, table = self._rows[str(clip)], self._tables[dataset]
        fit = table.head_fit([table.row(info["video"], info["frame_index"][int(frame)])])
        to_clip = _compose(_video_ndc_to_clip(info), fit.tracker_map[0].numpy())
        return fit.replace(tracker_map=torch.from_numpy(to_clip)[None])

    def person(self, dataset: str, clip: str, num_shape: int) -> Person:
        """Who is in a clip."""
        corpus = self._params.corpora[self._folders[dataset].name]
        plans = {plan.video: plan for plan in plan_corpus(self._params, corpus)}
        plan = plans[self._rows[str(clip)]["video"]]
        return make_person(plan.seed, plan.seed, num_shape, plan.palette)


def _video_ndc_to_clip(info: dict[str, pa.Scalar]) -> np.ndarray:
    """Row-major 2x3 map from the video frame's ndc to the clip's ndc."""
    half_w, half_h = info["source_width"] / 2, info["source_height"] / 2
    return _compose(np.array(info["crop_map"]), np.array([half_w, 0, half_w, 0, half_h, half_h]))


def _compose(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The map (6,) that does `first`, then `second`."""
    a, b = (np.vstack([np.asarray(m, np.float64).reshape(2, 3), [0, 0, 1]]) for m in (second, first))
    return (a @ b)[:2].reshape(6).astype(np.float32)
