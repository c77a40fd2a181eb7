"""AKD by the face mesh beside AKD by dlib's 68 points, an unrelated detector (package dlib, its 68-point predictor).

The predictor's training pictures are not for commercial use; it is no instrument of this project.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.bench.pair_frames import load_pair_frames
from pipeline.bench.predictions import SavedFrames
from pipeline.metrics.akd import KeypointDistance
from pipeline.metrics.backends.pixels import Pixels
from pipeline.params.recipe import split_row

Observe = Callable[[np.ndarray], Mapping[str, np.ndarray]]
DLIB_PX = 512  # frames are enlarged to about this, since its points are whole pixels
DRAWN = 8  # partners of a frame in its clip


def random_pairs(observe: Observe, frames: np.ndarray, clip: np.ndarray, predictor: Path) -> dict[str, Any]:
    """Both of random pairs of a clip; frames (N, S, S, 3) uint8, the clip (N,) of each."""
    ours, theirs = observe(frames)["landmarks_px"], dlib_points(frames, predictor)
    rng = np.random.default_rng(0)
    drawn = [
        (a, b) for a in range(len(clip)) for b in rng.permutation(np.flatnonzero(clip == clip[a]))[:DRAWN] if a != b
    ]
    one, two = np.array(drawn).T
    found = _agreement(_akd(ours[one], ours[two]), _akd(theirs[one], theirs[two]))
    return {**found, "found_by_dlib": float(np.isfinite(theirs).all(1).mean())}


def generated_rows(observe: Observe, run: Path, predictor: Path) -> dict[str, Any]:
    """Both of what each PWM row of a finished run made, against the true frames; same identity."""
    pairs, _ = load_pair_frames(run / "pairs.parquet", run / "clips" / "eval")
    same, names = np.flatnonzero(pairs.task == "same"), pairs.pair_id.tolist()
    truth = pairs.driving_u8[same]
    true_ours, true_theirs = observe(truth)["landmarks_px"], dlib_points(truth, predictor)
    rows: dict[str, Any] = {}
    ours, theirs = [], []
    for folder in sorted((run / "results").iterdir()):
        if not _is_row(folder.name):
            continue
        frames = SavedFrames(folder / "predictions.arrow", names, pairs.size_hw)[same]
        made, seen = observe(frames)["landmarks_px"], dlib_points(frames, predictor)
        akd, other = _akd(made, true_ours), _akd(seen, true_theirs)
        rows[folder.name] = {
            **_agreement(akd, other), "found_by_dlib": float(np.isfinite(seen).all(1).mean()),
            "read": float(np.isfinite(made).all(1).mean()),
        }  # fmt: skip
        ours.append(akd)
        theirs.append(other)
    return {
        "size_px": int(truth.shape[1]),
        "rows": rows,
        "all": _agreement(np.concatenate(ours), np.concatenate(theirs)),
    }


def dlib_points(frames: np.ndarray, predictor: Path) -> np.ndarray:
    """68 landmarks (N, 136) in pixels of frames (N, H, W, 3) uint8; NaN where its detector finds no face."""
    import dlib

    detect, shape = dlib.get_frontal_face_detector(), dlib.shape_predictor(str(predictor))
    marks = np.full((len(frames), 136), np.nan)
    times = max(1, DLIB_PX // frames.shape[2])
    for row, frame in enumerate(frames):
        large = np.ascontiguousarray(frame.repeat(times, 0).repeat(times, 1))
        if boxes := detect(large):
            points = shape(large, boxes[0]).parts()
            marks[row] = (np.array([[point.x, point.y] for point in points]).ravel() + 0.5) / times
    return marks


def _akd(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    return KeypointDistance(Pixels()).compare(one, two)  # comparing readings asks no instrument


def _agreement(ours: np.ndarray, theirs: np.ndarray) -> dict[str, Any]:
    from scipy.stats import spearmanr

    both = np.isfinite(ours) & np.isfinite(theirs)
    a, b = ours[both], theirs[both]
    return {
        "pairs": int(both.sum()),
        "pearson": float(np.corrcoef(a, b)[0, 1]),
        "spearman": float(spearmanr(a, b).statistic),
        "slope": float((a * b).sum() / np.square(b).sum()),
        "ours_px": float(a.mean()),
        "theirs_px": float(b.mean()),
    }


def _is_row(name: str) -> bool:
    try:
        split_row(name)
    except ValueError:
        return False
    return True
