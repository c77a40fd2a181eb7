"""What the metric cards say beside the facts of the code: formulas, units, failures, and what the paper leaves open."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Card:
    """One metric.

    Attributes:
        formula: of one pair, or of two sets.
        reduction: from pairs to the number in the table.
        unit: of the number.
        reader: what looks at the image before the formula, and what it does where it sees nothing.
        floor: what the number is where nothing is wrong, and where its instrument's own error is stated.
        open: what the paper leaves open, and what is taken here; empty where it has no such column.
    """

    formula: str
    reduction: str
    unit: str
    reader: str
    floor: str
    open: str = ""


FAN_READER = (
    "FAN on the surest face of S3FD (score above 0.5), points in whole px; a frame without a face has failed. The "
    "puppet judge finds points in every frame."
)
TRACKER_READER = (
    "a head tracker on each image by itself; where it finds no face, or scores it below `fit.min_score`, the frame has "
    "failed. A face that the head fits badly counts: leaving it out would reward blur."
)
PIXELS = "the saved 8-bit frames, whole; nothing can fail."
TRACKER_FLOOR = (
    "0 of `ground truth`; the tracker's own error on frames with a known truth stands below every table and in "
    "`reports/*/fit/*.md`."
)

CARDS = {
    "fid": Card(
        "|m_a - m_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)) of the pooled features' means and unbiased covariances",
        "one number of all pairs; sums and roots in float64",
        "squared units of the features",
        "a network's last pooling (Inception of 2015-12-05: 2048 numbers at 299 px); nothing can fail",
        "0 of equal sets; above 0 for two draws of one distribution, and falling with n: compare at equal n only",
        "The number of images is not stated. Here it is `n` in scores.csv. Cross identity is compared with the SOURCE "
        "images, as the supplement says.",
    ),
    "csim": Card(
        "a b / (|a| |b|) of two identity embeddings",
        "mean over pairs",
        "cosine, -1 to 1",
        "every image is aligned by its own landmarks to one fixed template (five points for ArcFace). " + FAN_READER,
        "1 of the image itself; other people's value is that of `copy source` in CSIM to driver",
        "Which ArcFace is not stated; the weights' hash stands below the table. The reference face is read as the "
        "fixed template: aligning to the other image would make the value depend on its pose.",
    ),
    "akd": Card(
        "mean of |difference| over the 136 coordinates of 68 landmarks",
        "mean over pairs; same identity only, as points carry the person's own shape",
        "px of the clip, whose size is in the metric's id",
        FAN_READER,
        "0 of `ground truth`; FAN's whole px add up to half a px to any two frames that differ",
        '"L1 distance between the landmarks" is read per coordinate, as pose-evaluation computes it; per point it is '
        "up to twice as large (NME below is per point).",
    ),
    "aed": Card(
        "mean over dimensions of |difference of the expression codes|",
        "mean over pairs",
        "units of the head's codes: heads do not compare with each other",
        TRACKER_READER,
        TRACKER_FLOOR,
        '"L1 distance" is read as the mean over dimensions: the paper\'s 0.07 to 0.3 fit a mean of FLAME\'s 50 codes, '
        "not their sum.",
    ),
    "apd": Card(
        "mean of the |differences| of yaw, pitch and roll of the global head pose; 359 and 1 degree are 2 apart",
        "mean over pairs",
        "degrees",
        TRACKER_READER,
        TRACKER_FLOOR,
        "The unit is not stated: the paper's 0.7 to 8 are degrees. FLAME's axis-angle is turned into yaw, pitch and "
        "roll first.",
    ),
    "l1": Card("mean of |difference| over pixels and channels", "mean over pairs", "grey levels, 0 to 255", PIXELS,
               "0 of `ground truth`", "The scale is not stated: the paper's values show 0 to 255."),
    "ssim": Card(
        "SSIM with a Gaussian window of 11 px (sigma 1.5), K = 0.01 and 0.03, borders reflected; mean over channels",
        "mean over pairs", "1 is equal", PIXELS, "1 of `ground truth`",
        "Window and colours are not stated: torchmetrics' definition on RGB."),
    "lpips": Card(
        "squared differences of unit-normalised feature maps, weighted by channel, averaged over positions and summed "
        "over layers",
        "mean over pairs", "no unit", PIXELS, "0 of `ground truth`",
        "The backbone is not stated; the metric's id names it. AlexNet is LPIPS v0.1; the puppet judge has no learned "
        "weights of channels."),
    "feature_distance": Card(
        "squared difference of unit-normalised feature maps, summed over channels and averaged over places",
        "mean over the maps of five blocks, then over pairs",
        "none, 0 or more",
        "EfficientNet-Lite0, taught to tell things on ImageNet and not what people find alike; nothing can fail",
        "0 of equal images; what blur, noise and shifts cost is on its card",
        "Not in the paper, and not LPIPS: no number of it compares with one.",
    ),
    "psnr": Card("10 log10(255^2 / mean squared difference)", "mean over pairs of their decibels; equal frames are 100",
                 "dB", PIXELS, "100 of `ground truth`"),
    "ms_ssim": Card(
        "product over five scales of contrast and structure, and of luminance at the last, to Wang's exponents; "
        "negative terms are zero (torchmetrics)",
        "mean over pairs", "1 is equal", PIXELS + " Below 161 px there is no number.", "1 of `ground truth`"),
    "kid": Card(
        "unbiased squared MMD by the kernel (x y / D + 1)^3 of D features, of all images at once, in float64",
        "one number of all pairs, without subsets or a seed; n in scores.csv",
        "units of the kernel",
        "FID's features",
        "0 on average for two independent draws of one distribution, at any n; below 0 for images that belong together "
        "in pairs (`ground truth` shows it), by a share of 1/n: all pairs of images count, as in torchmetrics"),
    "csim_driver": Card(
        "CSIM of the result and the driving image of another person: the driver's identity that leaked",
        "mean over pairs", "cosine, -1 to 1", "as CSIM",
        "the value of `copy source` is what the two people share; that of `copy driving`, where it stands, is 1"),
    "nme": Card(
        "mean distance of the 68 points, divided by the distance of the reference's outer eye corners (points 36, 45)",
        "mean over pairs", "percent", "as AKD; a reference whose eyes fall together has failed", "0 of `ground truth`"),
    "yaw_gap": Card(
        "|yaw of the source - yaw of the target|; no column: AKD is given for pairs of 0-10, 10-25 and 25+ degrees",
        "AKD's mean over the pairs of a stratum", "px, as AKD", "APD's first tracker; a pair that it cannot read is in "
        "no stratum", "as AKD"),
}  # fmt: skip

# Five quantities that publications and their code call AED or APD, and no two of which compare.
DEFINITIONS = (
    ("distance of an OpenFace identity embedding: squared differences, summed", "FOMM's AED (pose-evaluation)",
     "another quantity of the same name; values in the hundreds"),
    ("FLAME by DECA: 50 expression codes averaged, three angles in degrees", "**this paper; ours**",
     "`aed[deca,flame]`, `apd[deca,flame]`; the profiles measure the same on other heads, `aed[tracker,head]`"),
    ("Basel face by Deep3DFaceRecon: 64 expression codes, summed or averaged, angles in radians or degrees",
     "OTAvatar, GAGAvatar", "`aed[deep3d,bfm]` is averaged, `apd[deep3d,bfm]` is in degrees (the paper's Table 3)"),
    ("52 blendshape weights and entries of the rotation matrix by MediaPipe", "jieun-b's metrics", "not measured here"),
    ("FLAME by SMIRK, whose expression codes are other ones than DECA's", "H2CEvaluator", "not measured here"),
)  # fmt: skip
