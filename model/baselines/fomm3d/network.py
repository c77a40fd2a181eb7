"""3D-FOMM: canonical keypoints in space, turned by a head pose, move a volume of features (paper, Table 1).

The unofficial implementation, which the paper compares with, of Wang, Mallya, Liu: One-Shot Free-View Neural
Talking-Head Synthesis for Video Conferencing (CVPR 2021).
Source: zhanglonghao1992/One-Shot_Free-View_Neural_Talking_Head_Synthesis at 9511d25, modules/, demo.py and
config/vox-256.yaml: the function and the names of tensors. The checkpoint's entries `kp_detector`, `he_estimator` and
`generator` are the attributes of `Fomm3d`.

Legend: B batch, K keypoints, H, W of the image, C channels; D, h, w of the volume of features and of motion, h and w a
quarter of the image's.
Convention: RGB in [0, 1]; positions are x, y, z as in model/baselines/shared/keypoints.py. Quirk kept: they span the
pixels' middles while `grid_sample` takes them to span their edges (`align_corners=False`), as when the weights were
trained.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.baselines.fomm3d.pose import Pose, PoseEstimator, place
from model.baselines.shared.hourglass import Block, Down, Hourglass, Residual, Up, convolution, widths
from model.baselines.shared.inputs import check_inputs
from model.baselines.shared.keypoints import (
    AntiAlias,
    Keypoints,
    blend,
    expected_position,
    gaussians,
    heatmaps,
    relative,
    sample,
    sparse_motions,
    warp_by_each,
    with_background,
)
from model.baselines.shared.spade import spade
from model.baselines.shared.spectral import spectral_norm
from model.method.network import Made, Signals
from model.method.precision import wide

SPADE, ORIGINAL = "spade", "original"
DECODERS = (SPADE, ORIGINAL)
SPADE_SLOPE = 0.2


@dataclass(frozen=True)
class Fomm3dConfig:
    """The released configuration "New"; "Beta" has `decoder="original"` and `kp_scale=1`.

    Attributes:
        decoder: "spade" or "original"; it also sets the first layer's kernel.
        kp_scale: of the image that the keypoint detector sees; with 1 the checkpoint has no `down.weight`.
        image_px: side of the images.
        num_kp: keypoints K.
        depth: D.
        temperature: of the softmax over a keypoint's volume.
        kp_variance: of the bells that show the keypoints to the motion network.
        kp_width, kp_largest, kp_levels: channels of the keypoint detector's first level, of its widest, and levels.
        pose_width: channels of the pose estimator's first level.
        motion_width, motion_largest, motion_levels: as of the keypoint detector, of the motion network.
        compress: channels of the volume that it sees.
        mask_kernel: side of its last convolution, which says what moves each place; odd.
        width, largest, num_down: as of the keypoint detector, of the generator.
        num_residual: its residual blocks, in the volume and before the image.
        spade_hidden: channels of the layers that make SPADE's gains.
    """

    BEFORE: ClassVar[Mapping[str, int]] = {"mask_kernel": 7}  # models that are older than the key

    decoder: str = SPADE
    kp_scale: float = 0.25
    image_px: int = 256
    num_kp: int = 15
    depth: int = 16
    temperature: float = 0.1
    kp_variance: float = 0.01
    kp_width: int = 32
    kp_largest: int = 1024
    kp_levels: int = 5
    pose_width: int = 64
    motion_width: int = 32
    motion_largest: int = 1024
    motion_levels: int = 5
    compress: int = 4
    mask_kernel: int = 7
    width: int = 64
    largest: int = 512
    num_down: int = 2
    num_residual: int = 6
    spade_hidden: int = 128

    def __post_init__(self) -> None:
        """Raise ValueError for a decoder that does not exist."""
        if self.decoder not in DECODERS:
            raise ValueError(f"3D-FOMM has the decoders {', '.join(DECODERS)}, not {self.decoder!r}")


@dataclass(frozen=True)
class Fomm3dInside:
    """What 3D-FOMM finds on its way.

    Attributes:
        canonical: the source's keypoints at rest (B, K, 3).
        source_pose, driving_pose: of the two images.
        source, driving: the canonical keypoints so placed; in the relative mode `driving` is what moves the source.
        mask: which keypoint's motion each cell follows (B, 1 + K, D, h, w); the first stays.
        deformation: the motion that follows from it (B, D, h, w, 3).
        occlusion: 1 where the warped features are of use, 0 where the image is to be painted (B, 1, h, w).
    """

    canonical: Keypoints
    source_pose: Pose
    driving_pose: Pose
    source: Keypoints
    driving: Keypoints
    mask: Tensor
    deformation: Tensor
    occlusion: Tensor


class Fomm3d(nn.Module):
    """Keypoint detector, pose estimator, generator. Signals: `driving` (B, 3, H, W) in [0, 1]; also `driving_first`.

    Of the driving image pose and expression are used, of the source the canonical keypoints. Without `driving_first`
    keypoints are absolute; with it, their motion since that frame is carried over to the source.
    """

    def __init__(self, config: Fomm3dConfig | None = None) -> None:
        super().__init__()
        self.config = config or Fomm3dConfig()
        self.native_px = self.config.image_px
        self.kp_detector = KeypointDetector(self.config)
        self.he_estimator = PoseEstimator(self.config.num_kp, self.config.pose_width)
        self.generator = Generator(self.config)

    def forward(self, source: Tensor, signals: Signals) -> Made:
        """Animate B sources (B, 3, H, W) in [0, 1].

        Returns:
            The image in [0, 1] (a sigmoid's), the occlusion map, and a `Fomm3dInside`. There is no warped source: what
            moves is a volume.

        Raises:
            ValueError: a signal is absent, or an image has another shape.
        """
        read = ["driving", "driving_first"] if "driving_first" in signals else ["driving"]
        check_inputs(source, self.native_px, signals, dict.fromkeys(read, source.shape[1:]))
        driving, first = signals["driving"], signals.get("driving_first")
        canonical = self.kp_detector(source)
        source_pose, driving_pose = self.he_estimator(source), self.he_estimator(driving)
        at_source, at_driving = place(canonical, source_pose), place(canonical, driving_pose)
        if first is not None:
            at_driving = relative(at_source, at_driving, place(canonical, self.he_estimator(first)))
        img, mask, deformation, occlusion = self.generator(source, at_source, at_driving)
        inside = Fomm3dInside(
            canonical, source_pose, driving_pose, at_source, at_driving, mask, deformation, occlusion
        )  # fmt: skip
        return Made(img, {"occlusion": occlusion.expand(-1, 3, -1, -1)}, inside)


class KeypointDetector(nn.Module):
    """Images (B, 3, H, W) in [0, 1] -> canonical keypoints (B, K, 3)."""

    def __init__(self, config: Fomm3dConfig) -> None:
        super().__init__()
        self.temperature = config.temperature
        channels = widths(config.kp_width, config.kp_largest, config.kp_levels)
        self.down = AntiAlias(3, config.kp_scale) if config.kp_scale != 1 else nn.Identity()
        self.predictor = FlatToVolume(channels, config.depth)
        self.kp = convolution(3, channels[0], config.num_kp)

    def forward(self, img: Tensor) -> Keypoints:
        """Find K positions, each the mean of a volume."""
        return Keypoints(expected_position(heatmaps(self.kp(self.predictor(self.down(img))), self.temperature)))


class FlatToVolume(nn.Module):
    """Down in two dimensions, up in three: images (B, 3, h, w) -> features (B, channels[0], D, h, w)."""

    def __init__(self, channels: list[int], depth: int) -> None:
        super().__init__()
        self.depth = depth
        deepest = len(channels) - 1
        self.down_blocks, self.up_blocks = nn.Sequential(), nn.Sequential()
        for i in range(deepest):
            self.down_blocks.add_module(f"down{i}", Down(2, 3 if i == 0 else channels[i], channels[i + 1]))
            self.up_blocks.add_module(f"up{i}", Up(3, channels[deepest - i], channels[deepest - i - 1]))
        self.conv = nn.Conv2d(channels[-1], channels[-1] * depth, 1)

    def forward(self, img: Tensor) -> Tensor:
        """Lift the deepest level's channels into depth, then grow."""
        return self.up_blocks(self.conv(self.down_blocks(img)).unflatten(1, (-1, self.depth)))


class MotionNetwork(nn.Module):
    """Mixes the keypoints' motions into one of the volume, and says what it does not explain."""

    def __init__(self, config: Fomm3dConfig) -> None:
        super().__init__()
        self.variance = config.kp_variance
        motions = config.num_kp + 1
        channels = widths(config.motion_width, config.motion_largest, config.motion_levels)
        self.hourglass = Hourglass(3, motions * (config.compress + 1), channels, last_block=True)
        self.mask = convolution(3, self.hourglass.out_channels, motions, config.mask_kernel)
        self.compress = nn.Conv3d(config.largest // config.depth, config.compress, 1)
        self.norm = nn.BatchNorm3d(config.compress)
        self.occlusion = convolution(2, self.hourglass.out_channels * config.depth, 1, 7)

    def forward(self, volume: Tensor, source: Keypoints, driving: Keypoints) -> tuple[Tensor, Tensor, Tensor]:
        """Return mask, deformation and occlusion as `Fomm3dInside` describes them."""
        small = F.relu(self.norm(self.compress(volume)))
        size = small.shape[2:]
        motions = sparse_motions(source, driving, size)
        moved = warp_by_each(small, motions, align_corners=False)
        bells = gaussians(driving.value, size, self.variance) - gaussians(source.value, size, self.variance)
        feat = self.hourglass(torch.cat([with_background(bells)[:, :, None], moved], 2).flatten(1, 2))
        mask = F.softmax(wide(self.mask(feat)), 1)
        return mask, blend(motions, mask), torch.sigmoid(self.occlusion(feat.flatten(1, 2)))


class Generator(nn.Module):
    """The source's volume of features, warped, flattened, masked, and decoded to an image."""

    def __init__(self, config: Fomm3dConfig) -> None:
        super().__init__()
        self.depth = config.depth
        channels = widths(config.width, config.largest, config.num_down)
        self.dense_motion_network = MotionNetwork(config)
        self.first = Block(2, 3, config.width, 3 if config.decoder == SPADE else 7)
        self.down_blocks = nn.ModuleList(Down(2, channels[i], channels[i + 1]) for i in range(config.num_down))
        self.second = nn.Conv2d(channels[-1], config.largest, 1)
        self.resblocks_3d = nn.Sequential()
        for i in range(config.num_residual):
            self.resblocks_3d.add_module(f"3dr{i}", Residual(3, config.largest // config.depth))
        self.third = Block(2, config.largest, channels[-1], slope=0.01)
        self.fourth = nn.Conv2d(channels[-1], channels[-1], 1)
        self.spade = config.decoder == SPADE
        if self.spade:
            self.decoder = SpadeDecoder(channels[-1], config.width, config.spade_hidden)
        else:
            self.resblocks_2d = nn.Sequential()
            for i in range(config.num_residual):
                self.resblocks_2d.add_module(f"2dr{i}", Residual(2, channels[-1]))
            levels = reversed(range(config.num_down))
            self.up_blocks = nn.Sequential(*(Up(2, channels[i + 1], channels[i]) for i in levels))
            self.final = convolution(2, config.width, 3, 7)

    def forward(self, img: Tensor, source: Keypoints, driving: Keypoints) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the image (B, 3, H, W) in [0, 1], mask, deformation and occlusion."""
        feat = self.first(img)
        for block in self.down_blocks:
            feat = block(feat)
        volume = self.resblocks_3d(self.second(feat).unflatten(1, (-1, self.depth)))
        mask, deformation, occlusion = self.dense_motion_network(volume, source, driving)
        warped = sample(volume, deformation, align_corners=False).flatten(1, 2)
        feat = self.fourth(self.third(warped)) * occlusion
        out = self.decoder(feat) if self.spade else self.final(self.up_blocks(self.resblocks_2d(feat)))
        return torch.sigmoid(wide(out)), mask, deformation, occlusion


class SpadeDecoder(nn.Module):
    """Features (B, inputs, h, w) -> logits of the image (B, 3, 4h, 4w); every norm sees the features again."""

    def __init__(self, inputs: int, width: int, hidden: int) -> None:
        super().__init__()
        self.fc = convolution(2, inputs, 2 * inputs)
        self.middle = [f"G_middle_{i}" for i in range(6)]
        for name in self.middle:
            self.add_module(name, SpadeResidual(2 * inputs, 2 * inputs, inputs, hidden))
        self.up_0 = SpadeResidual(2 * inputs, inputs, inputs, hidden)
        self.up_1 = SpadeResidual(inputs, width, inputs, hidden)
        self.conv_img = convolution(2, width, 3)

    def forward(self, feat: Tensor) -> Tensor:
        """Decode."""
        out = self.fc(feat)
        for name in self.middle:
            out = self.get_submodule(name)(out, feat)
        for block in (self.up_0, self.up_1):
            out = block(F.interpolate(out, scale_factor=2, mode="nearest"), feat)
        return self.conv_img(F.leaky_relu(out, SPADE_SLOPE))


class SpadeResidual(nn.Module):
    """Two convolutions after SPADE norms, added to the input; where channels change, to a convolution of it.

    The checkpoint has each weight as spectral normalisation stores it, hence the older of torch's two forms.
    """

    def __init__(self, inputs: int, outputs: int, guide: int, hidden: int) -> None:
        super().__init__()
        inner = min(inputs, outputs)
        self.conv_0 = spectral_norm(convolution(2, inputs, inner))
        self.conv_1 = spectral_norm(convolution(2, inner, outputs))
        self.norm_0, self.norm_1 = Spade(inputs, guide, hidden), Spade(inner, guide, hidden)
        self.turns = inputs != outputs
        if self.turns:
            self.conv_s = spectral_norm(nn.Conv2d(inputs, outputs, 1, bias=False))
            self.norm_s = Spade(inputs, guide, hidden)

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        """(B, inputs, h, w) -> (B, outputs, h, w). Quirk kept: the short way has no rectifier."""
        inner = self.conv_0(F.leaky_relu(self.norm_0(x, guide), SPADE_SLOPE))
        inner = self.conv_1(F.leaky_relu(self.norm_1(inner, guide), SPADE_SLOPE))
        return (self.conv_s(self.norm_s(x, guide)) if self.turns else x) + inner


class Spade(nn.Module):
    """Normalise each channel of each image, then scale and shift each pixel as the guide says."""

    def __init__(self, channels: int, guide: int, hidden: int) -> None:
        super().__init__()
        self.mlp_shared = nn.Sequential(convolution(2, guide, hidden), nn.ReLU())
        self.mlp_gamma, self.mlp_beta = convolution(2, hidden, channels), convolution(2, hidden, channels)

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        """(B, channels, h, w), by the guide (B, C, any, any)."""
        shared = self.mlp_shared(F.interpolate(guide, size=x.shape[-2:], mode="nearest"))
        return spade(F.instance_norm(x), shared, self.mlp_gamma, self.mlp_beta)
