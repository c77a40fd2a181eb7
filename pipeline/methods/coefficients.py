"""PIRender's driving signal: 73 numbers of a frame and of its neighbours, from a table of Deep3DFaceRecon's fits.

Source: RenYurui/PIRender at 9e59f19, data/vox_dataset.py (order, windows) and data/vox_video_dataset.py (cross
identity).

Convention: of one frame, expression 64, angles 3, translation 3, and the crop's scale and middle (x, y), which the
published alignment counts in pixels of the clip's frame, from centres, y up (`pipeline.trackers.deep3d_crop`). The
released network saw frames of 256 px, hence crops of those; other sizes are another signal.
"""

import numpy as np
import torch

from pipeline.store.columns import column_array
from pipeline.store.fits import FitTable
from pipeline.trackers.deep3d_crop import find_crop

HEAD = "bfm"
REACH = 13  # frames before and after
NUM_COEFFICIENTS, CROP_SCALE = 73, 70
BESIDE = ("landmarks",)  # columns that a table needs beside those that every reader gets


def of_frames(fits: FitTable, rows: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """Coefficients of fitted frames.

    Args:
        fits: of Deep3DFaceRecon, read with `BESIDE`.
        rows: (N,) rows of the table, all with status ok.
        size_hw: of the clip's frames, px.

    Returns:
        (N, 73) float32.

    Raises:
        ValueError: the table is of another head, or a row has no fit.
    """
    if fits.head != HEAD:
        raise ValueError(f"{fits.where} has fits of head {fits.head!r}; PIRender's coefficients are those of {HEAD!r}")
    missing = [int(row) for row in rows if fits.status[row] != "ok"]
    if missing:
        raise ValueError(f"{fits.where}: row {missing[0]} has no fit ({fits.status[missing[0]]}), so no coefficients")
    fit = fits.head_fit(rows)
    codes = torch.cat([fit.expression, fit.pose, fit.camera], 1).numpy()
    marks = column_array(fits.table.take(rows), "landmarks").reshape(-1, 68, 2).astype(np.float64)
    crops = [find_crop(face, size_hw) for face in (marks + 1) / 2 * np.array(size_hw[::-1])]
    placed = np.array([(crop.scale, *crop.middle) for crop in crops])
    return np.concatenate([codes, placed], 1).astype(np.float32)


def window(fits: FitTable, clip: str, frame: int, num_frames: int, size_hw: tuple[int, int]) -> np.ndarray:
    """Coefficients of a frame and of those `REACH` before and after it, oldest first.

    Beyond its ends, a clip's first and last frames repeat, as published; a clip of one frame repeats it throughout.
    Choice: a neighbour without a fit is replaced by the nearest frame of the window that has one, the older of two
    (the published tools take a mean face's landmarks there, and whatever is regressed).

    Args:
        fits: see `of_frames`.
        clip: the clip's key.
        frame: its frame, which must have a fit.
        num_frames: of the clip; frames count from 0.
        size_hw: of the clip's frames, px.

    Returns:
        (73, 27) float32.

    Raises:
        ValueError: the frame has no fit, or lies outside the clip.
    """
    if not 0 <= frame < num_frames:
        raise ValueError(f"frame {frame} of clip {clip} lies outside its {num_frames} frames")
    if not fits.ok(clip, frame):
        raise ValueError(f"frame {frame} of clip {clip} has no fit in {fits.where}, so nothing can be driven by it")
    wanted = np.clip(np.arange(frame - REACH, frame + REACH + 1), 0, num_frames - 1)
    fitted = np.array([at for at in np.unique(wanted) if fits.ok(clip, int(at))])
    nearest = fitted[np.abs(wanted[:, None] - fitted).argmin(1)]  # the first of equals is the older
    taken, places = np.unique(nearest, return_inverse=True)
    rows = np.array([fits.row(clip, int(at)) for at in taken])
    return of_frames(fits, rows, size_hw)[places].T.copy()


def at_source_scale(driving: np.ndarray, source: np.ndarray) -> np.ndarray:
    """A window for another identity: its crop scales times the source's over the driving frame's.

    Choice: the published ratio is that of the source and of the driving video's frame nearest to it in expression and
    pose; of a pair of single frames only the pair's own is defined.

    Args:
        driving: (73, 27) as of `window`.
        source: (73,) coefficients of the source's frame.

    Returns:
        (73, 27) float32; the driving frame has the source's crop scale.
    """
    scaled = driving.copy()
    scaled[CROP_SCALE] *= source[CROP_SCALE] / driving[CROP_SCALE, REACH]
    return scaled
