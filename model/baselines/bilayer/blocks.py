"""Layers of Bi-Layer: residual blocks whose norms and skips take parameters that another network predicts.

Source: saic-violet/bilayer-model at c01cebe, networks/utils.py (names of tensors) and networks/*_generator.py.

Legend: B batch, C channels, s side of a feature map. `Predicted` runs over (weight, bias) pairs in the order in which
their layers stand in the network: the published code hands them out by walking its modules, and here the same order
is the order of execution. So nothing is stored in a layer, and several poses may use one prediction.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.baselines.shared.spectral import spectral_norm

SLOPE = 0.2  # of every LeakyReLU
NORM_EPS = 1e-7  # quirk: of norms and of spectral norm, in place of torch's 1e-5 and 1e-12
POOLED = 1024  # numbers of an embedding from which an output channel's parameters are predicted, at equal widths

Predicted = Iterator[tuple[Tensor, Tensor]]


def conv(in_channels: int, out_channels: int, side: int = 3) -> nn.Conv2d:
    """A convolution that keeps the size, under spectral norm (`weight_orig`, `weight_u`, `weight_v`)."""
    return spectral_norm(nn.Conv2d(in_channels, out_channels, side, padding=side // 2), eps=NORM_EPS)


def linear(in_features: int, out_features: int) -> nn.Linear:
    """A linear layer under spectral norm."""
    return spectral_norm(nn.Linear(in_features, out_features), eps=NORM_EPS)


class PredictedConv(nn.Module):
    """A 1x1 convolution that owns no tensor."""

    def forward(self, features: Tensor, predicted: Predicted) -> Tensor:
        """Features (B, C, s, s), or (1, C, s, s) for all -> (B, C', s, s) with the next weight (B, C', C)."""
        weight, bias = next(predicted)
        mixed = torch.matmul(weight, features.flatten(2)) + bias[..., None]
        return mixed.unflatten(2, features.shape[2:])


class PredictedNorm(nn.Module):
    """Batch norm (published `ada_bn`) whose scale, less 1, and shift are the next pair: one of each a channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm_layer = nn.BatchNorm2d(channels, eps=NORM_EPS, affine=False)

    def forward(self, features: Tensor, predicted: Predicted) -> Tensor:
        """Features (B, C, s, s) of the same shape."""
        weight, bias = next(predicted)  # (B, C, 1) and (B, C)
        return self.norm_layer(features) * (weight[..., None] + 1) + bias[..., None, None]


class PredictedSpade(nn.Module):
    """Batch norm (published `ada_spade_bn`) whose scale, less 1, and shift are maps.

    Two predicted convolutions make them of one learned map: the first pair the scale, the second the shift.
    """

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.pixel_feats = nn.Parameter(torch.empty(1, channels, side, side))
        nn.init.kaiming_uniform_(self.pixel_feats, a=5**0.5)
        self.conv_weight, self.conv_bias = PredictedConv(), PredictedConv()
        self.norm_layer = nn.BatchNorm2d(channels, eps=NORM_EPS, affine=False)

    def forward(self, features: Tensor, predicted: Predicted) -> Tensor:
        """Features (B, C, s, s) of the same shape."""
        scale = self.conv_weight(self.pixel_feats, predicted) + 1
        shift = self.conv_bias(self.pixel_feats, predicted)
        return self.norm_layer(features) * scale + shift


PREDICTED = (PredictedConv, PredictedNorm, PredictedSpade)


def run(layers: nn.Sequential, features: Tensor, predicted: Predicted) -> Tensor:
    """Run layers in turn; those of `PREDICTED` take what they need."""
    for layer in layers:
        features = layer(features, predicted) if isinstance(layer, PREDICTED) else layer(features)
    return features


class ResBlock(nn.Module):
    """A pre-activation residual block; places in its lists are the published names of tensors."""

    def __init__(self, in_channels: int, out_channels: int, resize: str = "") -> None:
        """Make a block without norms.

        Args:
            in_channels: of its input.
            out_channels: of its output.
            resize: "down" halves the size by averaging, after the last convolution; "up" doubles it by repeating,
                before the first one; empty keeps it.
        """
        super().__init__()
        before: list[nn.Module] = [nn.Upsample(scale_factor=2)] if resize == "up" else []
        after: list[nn.Module] = [nn.AvgPool2d(2)] if resize == "down" else []
        act = nn.LeakyReLU(SLOPE)
        self.block_feats = nn.Sequential(act, *before, conv(in_channels, out_channels), act)
        self.block = nn.Sequential(conv(out_channels, out_channels), *after)
        self.skip: nn.Module = nn.Identity()
        if resize or in_channels != out_channels:
            self.skip = nn.Sequential(*before, conv(in_channels, out_channels, 1), *after)

    def embed(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Output, and the features after the first convolution."""
        inner = self.block_feats(features)
        return self.block(inner) + self.skip(features), inner

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, C, s, s) -> (B, C', s', s')."""
        return self.embed(features)[0]


class PredictedBlock(nn.Module):
    """A block that doubles the size by repeating; its norms and its skip are predicted."""

    def __init__(self, in_channels: int, out_channels: int, side: int, *, spade: bool, first: bool) -> None:
        """Make a block.

        Args:
            in_channels: of its input.
            out_channels: of its output.
            side: of its input, px.
            spade: norms by maps, and the size doubles before the first convolution; else norms by channel, and it
                doubles after ("efficient" upsampling).
            first: quirk: the first norm of a network's first block is a plain batch norm with weights of its own.
        """
        super().__init__()
        act, up = nn.LeakyReLU(SLOPE), nn.Upsample(scale_factor=2)

        def norm(channels: int, at: int) -> nn.Module:
            return PredictedSpade(channels, at) if spade else PredictedNorm(channels)

        entry = nn.BatchNorm2d(in_channels, eps=NORM_EPS) if first else norm(in_channels, side)
        early, late = ([up], []) if spade else ([], [up])
        self.block_feats = nn.Sequential(
            entry, act, *early, conv(in_channels, out_channels), norm(out_channels, 2 * side), act
        )
        self.block = nn.Sequential(*late, conv(out_channels, out_channels))
        self.skip = nn.Sequential(up, PredictedConv())

    def forward(self, features: Tensor, predicted: Predicted) -> Tensor:
        """Features (B, C, s, s) -> (B, C', 2 s, 2 s)."""
        main = self.block(run(self.block_feats, features, predicted))
        return main + run(self.skip, features, predicted)  # after `block_feats`: the order of the predictions


class PredictedStack(nn.Module):
    """Blocks, a predicted norm and heads: what both generators are."""

    def __init__(self, widths: list[int], side: int, head_channels: tuple[int, ...], *, spade: bool) -> None:
        """Make a generator.

        Args:
            widths: channels of the input and after every block.
            side: of the input, px.
            head_channels: of every head.
            spade: see `PredictedBlock`.
        """
        super().__init__()
        pairs = list(zip(widths[:-1], widths[1:], strict=True))
        blocks: list[nn.Module] = [
            PredictedBlock(*pair, side * 2**i, spade=spade, first=i == 0) for i, pair in enumerate(pairs)
        ]
        last = PredictedSpade(widths[-1], side * 2 ** len(pairs)) if spade else PredictedNorm(widths[-1])
        self.blocks = nn.ModuleList([*blocks, last])
        self.heads = nn.ModuleList(nn.ModuleList([conv(widths[-1], count)]) for count in head_channels)

    def forward(self, features: Tensor, predicted: Predicted) -> list[Tensor]:
        """The raw outputs of every head, (B, C, 2^blocks s, 2^blocks s)."""
        for block in self.blocks:
            features = block(features, predicted)
        assert next(predicted, None) is None, "more parameters were predicted than the network takes"
        features = F.leaky_relu(features, SLOPE)
        return [head[0](features) for head in self.heads]  # type: ignore[index]


class Projector(nn.Module):
    """Predicts a generator's parameters from the identity's embeddings, block by block.

    Every row of a weight, an output channel's, comes from its own share of the pooled embedding, and all shares go
    through the same three linear layers without activations; the last number of a row is its bias.
    """

    def __init__(self, embedded: list[int], widths: list[int], *, spade: bool) -> None:
        """Make a projector.

        Args:
            embedded: the embedder's widths, in the form of `widths`.
            widths: channels of the generator's input and after every block.
            spade: see `PredictedBlock`.
        """
        super().__init__()
        self.shares = [ours / theirs for theirs, ours in zip(embedded[:-1], widths[:-1], strict=True)]
        self.fc_blocks = nn.ModuleList()
        for wide, entry, out, share in zip(embedded[:-1], widths[:-1], widths[1:], self.shares, strict=True):
            norm = [out + 1, out + 1] if spade else [2]  # scale and shift are convolutions, or one number each
            sizes = [*norm, entry + 1, *norm]  # the block's second norm, its skip, the next first norm
            given = int(self._pooled_side(share) ** 2 / share)
            heads = [nn.Sequential(linear(given, wide), linear(wide, wide), linear(wide, size)) for size in sizes]
            self.fc_blocks.append(nn.ModuleList(heads))

    @staticmethod
    def _pooled_side(share: float) -> int:
        return int(POOLED**0.5 * share)

    def forward(self, embeddings: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """Embeddings (B, C, e, e), one a block -> pairs of a weight (B, C', n) and a bias (B, C')."""
        pairs = []
        for embedding, heads, share in zip(embeddings, self.fc_blocks, self.shares, strict=True):
            batch, channels = embedding.shape[:2]
            pooled = _pooled(embedding, self._pooled_side(share))
            rows = pooled.reshape(batch, int(channels * share), -1)
            for head in heads:  # type: ignore[attr-defined]
                parameters = head(rows)
                pairs.append((parameters[..., :-1], parameters[..., -1]))
        return pairs


def _pooled(embedding: Tensor, side: int) -> Tensor:
    """Average pooling to a side; quirk: a larger one than the embedding's."""
    times, rest = divmod(side, embedding.shape[-1])
    if rest or not times:
        return F.adaptive_avg_pool2d(embedding, side)
    return F.interpolate(embedding, scale_factor=times, mode="nearest")  # the same numbers; pooling's gradient is slow
