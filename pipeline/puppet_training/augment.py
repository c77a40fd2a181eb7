"""What a clip or a generator may do to a puppet crop: jitter of the box, colour, blur, JPEG, artefacts.

Every draw comes from the generator that is passed in. Geometry is returned beside the pictures, so that
landmarks and cameras move with them. Severities (what was done, each in [0, 1]) are returned too: the judge
learns to read them, which makes its pooled features sensitive to image quality.
"""

import io
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from model.frame.coords import frames_to_tensor, from_u8, identity_grid, tensor_to_frames
from model.frame.warp import warp
from model.heads.camera import DEEP3D_CENTRE_PX, DEEP3D_DISTANCE, DEEP3D_FOCAL_PX

SEVERITIES = ("blur", "resample", "jpeg", "noise", "wobble", "stains")
MAX_BLUR_PX = 1.6  # standard deviation at 64 px
MAX_NOISE = 0.05
MAX_WOBBLE_NDC = 0.02  # more would look like another expression
WOBBLED = 0.15  # share of crops that wobble
SMEARED, MAX_SMEAR_NDC = 0.4, 0.16  # share of crops with a smear, and how far its pixels wander
SHARES = (0.5, 0.25, 0.25, 0.25, 0.15)  # of crops that are blurred, resampled, JPEG-coded, noisy, stained


@dataclass(frozen=True)
class Jitter:
    """Largest changes: shift in ndc, logarithms of scale and of the ratio of width to height, and colour.

    Colour 1 changes exposure by up to a quarter; 0 leaves colours alone. Skin tells people apart, so a network
    that looks for identity gets less.
    """

    shift_ndc: float
    log_scale: float
    log_squeeze: float
    colour: float


@dataclass(frozen=True)
class Augmented:
    """A changed batch.

    Attributes:
        img: (B, 3, h, w) float32 in [0, 1].
        landmarks_ndc: (B, 68, 2) after the change.
        scale_xy: (B, 2) and shift_ndc (B, 2): a point p of the original lies at scale_xy * p + shift_ndc.
        severity: (B, 6), columns `SEVERITIES`.
    """

    img: Tensor
    landmarks_ndc: Tensor
    scale_xy: Tensor
    shift_ndc: Tensor
    severity: Tensor


def uniform(generator: torch.Generator, shape: tuple[int, ...], low: float = 0.0, high: float = 1.0) -> Tensor:
    """Uniform draws in [low, high)."""
    return low + (high - low) * torch.rand(shape, generator=generator)


def sparse(generator: torch.Generator, count: int, share: float) -> Tensor:
    """(B,) strengths in [0, 1): zero for all but a share of the batch."""
    return uniform(generator, (count,)) * (uniform(generator, (count,)) < share)


def augment(img_u8: Tensor, landmarks_ndc: Tensor, size: int, jitter: Jitter, generator: torch.Generator) -> Augmented:
    """Change a batch of crops.

    Args:
        img_u8: (B, 3, H, W) uint8.
        landmarks_ndc: (B, 68, 2) of these crops.
        size: height and width of the result.
        jitter: how far the crop may move.
        generator: source of all draws.
    """
    count = len(img_u8)
    scale = uniform(generator, (count, 1), -jitter.log_scale, jitter.log_scale)
    squeeze = 0.5 * uniform(generator, (count, 1), -jitter.log_squeeze, jitter.log_squeeze)
    scale_xy = torch.cat([scale + squeeze, scale - squeeze], 1).exp()
    shift = uniform(generator, (count, 2), -jitter.shift_ndc, jitter.shift_ndc)
    wobble = sparse(generator, count, WOBBLED)
    field = MAX_WOBBLE_NDC * wobble[:, None, None, None] * torch.randn(count, 2, 5, 5, generator=generator)
    field = F.interpolate(field, size=(15, 15), mode="bicubic", align_corners=True)
    field = F.interpolate(field, size=(size, size), mode="bilinear", align_corners=True)
    grid = identity_grid((size, size))
    source = (grid - shift[:, :, None, None]) / scale_xy[:, :, None, None] + field
    img = warp(from_u8(img_u8), source - grid)
    moved = landmarks_ndc * scale_xy[:, None] + shift[:, None]
    # the field says where a target pixel looks: to first order its content moves the other way
    look = warp(field, moved.transpose(1, 2)[:, :, None] - identity_grid((1, 68)))[:, :, 0].transpose(1, 2)
    moved = moved - look * scale_xy[:, None]
    img = recolour(img, jitter.colour, generator)
    img, severity = degrade(img, generator)
    severity[:, SEVERITIES.index("wobble")] = wobble
    return Augmented(img, moved, scale_xy, shift, severity)


def recolour(img: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    """Change exposure, contrast, saturation and white balance of (B, 3, H, W); `amount` 0 changes nothing."""
    count = len(img)
    gain = uniform(generator, (count, 1, 1, 1), -0.25, 0.25) + uniform(generator, (count, 3, 1, 1), -0.08, 0.08)
    contrast = 1 + amount * uniform(generator, (count, 1, 1, 1), -0.2, 0.2)
    saturation = 1 + amount * uniform(generator, (count, 1, 1, 1), -0.3, 0.2)
    img = img * (amount * gain).exp()
    img = img.mean(1, keepdim=True).lerp(img, saturation)
    return ((img - 0.5) * contrast + 0.5).clamp(0, 1)


def degrade(img: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Blur, resample, stain, add noise and JPEG to parts of a batch; returns images and severities (B, 6)."""
    count = len(img)
    blur, resample, jpeg, noise, stains = (sparse(generator, count, share) for share in SHARES)
    for strength, change in (
        (blur, lambda part, amount: gaussian_blur(part, MAX_BLUR_PX * amount)),
        (resample, partial(_resample, generator=generator)),
        (stains, partial(_stain, generator=generator)),
        (noise, partial(_noise, generator=generator)),
        (jpeg, _jpeg),
    ):
        rows = strength.nonzero()[:, 0]
        if len(rows):
            img = img.index_copy(0, rows, change(img[rows], strength[rows]).clamp(0, 1))
    return img, torch.stack([blur, resample, jpeg, noise, torch.zeros(count), stains], 1)


def gaussian_blur(img: Tensor, sigma_px: Tensor) -> Tensor:
    """Blur every image (B, C, H, W) with its own standard deviation (B,) in pixels; the edge repeats."""
    count, channels, height, width = img.shape
    radius = max(1, int(np.ceil(3 * float(sigma_px.max()))))
    offset = torch.arange(-radius, radius + 1, dtype=img.dtype)
    kernel = torch.exp(-0.5 * (offset / sigma_px.clamp_min(1e-3)[:, None]) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)[:, None]
    groups = count * channels
    flat = F.pad(img.reshape(1, groups, height, width), (radius,) * 4, mode="replicate")
    flat = F.conv2d(flat, kernel[:, :, None, :], groups=groups)
    return F.conv2d(flat, kernel[:, :, :, None], groups=groups).reshape(img.shape)


def _resample(img: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """Shrink to as little as 40% and enlarge again, as a coarse generator level would."""
    size, parts = img.shape[-1], []
    for part, amount in zip(img.split(4), strength.split(4), strict=True):
        small = max(8, round(size * (1 - 0.6 * float(amount.mean()))))
        mode = ("bilinear", "nearest", "bicubic")[int(torch.randint(3, (1,), generator=generator))]
        shrunk = F.interpolate(part, size=(small, small), mode="area")
        parts.append(F.interpolate(shrunk, size=(size, size), mode=mode))
    return torch.cat(parts)


def _stain(img: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """Generator-like faults: smooth colour stains, a faint ghost of the picture, a checkerboard."""
    count, _, height, width = img.shape
    amount = strength[:, None, None, None]
    coarse = torch.randn(count, 3, 6, 6, generator=generator)
    stains = F.interpolate(coarse, size=(height, width), mode="bilinear", align_corners=False)
    step = int(torch.randint(1, 5, (1,), generator=generator))
    ghost = img.roll((step, -step), (2, 3))
    board = ((torch.arange(height)[:, None] + torch.arange(width)) % 2).float() - 0.5
    return img.lerp(ghost, 0.35 * amount) + 0.12 * amount * stains + 0.06 * amount * board


def smear(img: Tensor, generator: torch.Generator) -> Tensor:
    """Tear and double parts of a share of crops (B, 3, h, w), as a generator does where it has not found its way.

    Within soft blobs the picture becomes the mean of two copies, each pulled about by a field as fine as an eye.
    What cannot be read any more should not be read: a network that sees these learns to answer with the mean face
    there, where one that has never seen them takes a smear for a squint. The truth stays what it was.
    """
    count, size = len(img), img.shape[-2:]
    strength = sparse(generator, count, SMEARED)
    rows = strength.nonzero()[:, 0]
    if not len(rows):
        return img
    amount = MAX_SMEAR_NDC * strength[rows, None, None, None]
    blobs = F.interpolate(torch.randn(len(rows), 1, 5, 5, generator=generator), size=size, mode="bicubic")
    fields = torch.randn(len(rows), 4, 12, 12, generator=generator)
    fields = F.interpolate(fields, size=size, mode="bicubic") * torch.sigmoid(4 * blobs) * amount
    one, other = (warp(img[rows], field) for field in fields.chunk(2, 1))
    return img.index_copy(0, rows, one.lerp(other, 0.5 * uniform(generator, (len(rows), 1, 1, 1))))


def _noise(img: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    return img + MAX_NOISE * strength[:, None, None, None] * torch.randn(img.shape, generator=generator)


def _jpeg(img: Tensor, strength: Tensor) -> Tensor:
    """Encode and decode with quality 95 (strength 0) to 20 (strength 1)."""
    frames = []
    for frame, amount in zip(tensor_to_frames(img).numpy(), strength.tolist(), strict=True):
        data = io.BytesIO()
        Image.fromarray(frame).save(data, "JPEG", quality=int(95 - 75 * amount))
        frames.append(np.array(Image.open(data)))
    return frames_to_tensor(torch.from_numpy(np.stack(frames)))


def without_face(img: Tensor, generator: torch.Generator) -> Tensor:
    """Turn crops (B, 3, H, W) into pictures that show no face: shuffled tiles, or smooth noise."""
    count, channels, height, width = img.shape
    rows, columns = height // 4, width // 4
    tiles = img[..., : 4 * rows, : 4 * columns].reshape(count, channels, 4, rows, 4, columns)
    tiles = tiles.permute(2, 4, 0, 1, 3, 5).reshape(16, count, channels, rows, columns)
    tiles = tiles[torch.randperm(16, generator=generator)].reshape(4, 4, count, channels, rows, columns)
    shuffled = tiles.permute(2, 3, 0, 4, 1, 5).reshape(count, channels, 4 * rows, 4 * columns)
    shuffled = F.interpolate(shuffled, size=(height, width), mode="nearest")
    coarse = torch.rand(count, channels, 7, 7, generator=generator)
    noise = F.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)
    return torch.where(uniform(generator, (count, 1, 1, 1)) < 0.6, shuffled, noise)


def move_camera(camera: Tensor, kind: str, anchor: Tensor, scale_xy: Tensor, shift_ndc: Tensor) -> Tensor:
    """Camera that follows a crop's jitter.

    A camera has one scale: the geometric mean of the two is taken, and the anchor lands exactly where the
    jitter carries it.

    Args:
        camera: (B, 3) before.
        kind: "scaled_orthographic" or "deep3d_perspective".
        anchor: (B, 3) a point of the posed head, head units, such as the mean of its landmarks.
        scale_xy: (B, 2) as in `Augmented`.
        shift_ndc: (B, 2) as in `Augmented`.
    """
    scale = scale_xy.prod(1, keepdim=True).sqrt()
    flip = camera.new_tensor([1.0, -1.0])
    if kind == "scaled_orthographic":
        before = camera[:, :1]
        after = before * scale
        target = before * flip * (anchor[:, :2] + camera[:, 1:]) * scale_xy + shift_ndc
        return torch.cat([after, target * flip / after - anchor[:, :2]], 1)
    focal = DEEP3D_FOCAL_PX / DEEP3D_CENTRE_PX
    distance = DEEP3D_DISTANCE - anchor[:, 2:] - camera[:, 2:]
    target = focal * flip * (anchor[:, :2] + camera[:, :2]) / distance * scale_xy + shift_ndc
    distance = distance / scale
    moved_xy = target * flip * distance / focal - anchor[:, :2]
    return torch.cat([moved_xy, DEEP3D_DISTANCE - distance - anchor[:, 2:]], 1)


def without_precision(landmarks_ndc: Tensor, generator: torch.Generator) -> Tensor:
    """Landmarks (B, 68, 2) with the errors of a detector: each point's own, and a shift and scale of all."""
    count = len(landmarks_ndc)
    own = 0.02 * torch.randn(landmarks_ndc.shape, generator=generator)
    shift = 0.025 * torch.randn(count, 1, 2, generator=generator)
    scale = 1 + 0.04 * torch.randn(count, 1, 1, generator=generator)
    centre = landmarks_ndc.mean(1, keepdim=True)
    return centre + (landmarks_ndc - centre) * scale + shift + own
