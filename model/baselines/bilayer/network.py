"""Bi-Layer: a low-frequency image and a warped texture, both made for one identity, plus an enhanced texture.

Source: Zakharov, Ivakhnenko, Shysheya, Lempitsky: Fast Bi-layer Neural Synthesis of One-Shot Realistic Head Avatars
(ECCV 2020); saic-violet/bilayer-model at c01cebe, networks/*.py. Written from the description; docs/cards/bilayer.md.

Convention: inside, images lie in [-1, 1]; landmarks are ndc of the network's own crop, which is the published [-1, 1].
The texture is sampled at pixel centres (`align_corners=False`), zero outside: uv = identity + predicted shift.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from model.baselines.bilayer.blocks import SLOPE, PredictedStack, Projector, ResBlock, conv, linear
from model.baselines.shared.inputs import check_inputs
from model.frame.coords import identity_grid
from model.frame.warp import warp
from model.method.network import Made, Signals

RGB = 3


@dataclass(frozen=True)
class BiLayerConfig:
    """Sizes; the defaults are the released model's.

    Attributes:
        image_px: side of images; `input_px` times a power of two.
        input_px: side of the tensors that both generators begin with.
        embedding_px: side of the identity's embeddings.
        num_landmarks: of a pose.
        embedded_channels: narrowest and widest features of the embedder and the texture generator.
        inference_channels: the same of the inference generator.
        pose_channels: of the pose's hidden layers.
        enhancer_channels: features of the enhancer at full and at half size.
        enhancer_blocks: blocks of the enhancer at half size.
        enhancer_steps: updates of the texture, each of which takes a gradient; 0 leaves it as it was made.
        background: level in [0, 1] that is put where the network sees no person; None puts nothing there, so that both
            layers make the whole frame (not published; docs/cards/bilayer.md).

    Choice: the network makes no background, and the paper's table does not say what was put there. Black is what its
    training composites over; its demonstration shows white.
    """

    image_px: int = 256
    input_px: int = 4
    embedding_px: int = 8
    num_landmarks: int = 68
    embedded_channels: tuple[int, int] = (64, 512)
    inference_channels: tuple[int, int] = (32, 256)
    pose_channels: int = 256
    enhancer_channels: tuple[int, int] = (64, 128)
    enhancer_blocks: int = 8
    enhancer_steps: int = 4
    background: float | None = 0.0

    def __post_init__(self) -> None:
        for side in (self.input_px, self.embedding_px):
            if side * 2 ** (self.image_px // side).bit_length() != 2 * self.image_px:
                raise ValueError(f"image_px {self.image_px} is not {side} times a power of two")
        if self.background is not None and not 0 <= self.background <= 1:
            raise ValueError(f"background {self.background} is not a level in [0, 1]")

    @property
    def num_blocks(self) -> int:
        """Of a generator."""
        return (self.image_px // self.input_px).bit_length() - 1

    def widths(self, channels: tuple[int, int]) -> list[int]:
        """Channels of a generator's input and after every block: the narrowest, doubled to at most the widest."""
        return [min(channels[0] * 2**i, channels[1]) for i in range(self.num_blocks, -1, -1)]


@dataclass(frozen=True)
class BiLayerParts:
    """What the network makes on its way, in [-1, 1].

    Attributes:
        embeddings: the identity's, one a block (B, C, e, e).
        pose: code of the driving landmarks (B, C, 4, 4).
        texture: (B, 3, n, n).
        uv: where the driving view samples it (B, 2, n, n), ndc.
        source_uv: where the source's view does.
        shift: `uv` less the identity.
        low: low frequencies of the driving view (B, 3, n, n).
        high: the sampled texture.
        person: share of the person (B, 1, n, n) in [0, 1].
        person_logits: of which it is the sigmoid.
        enhanced_texture: the texture after the enhancer.
        enhanced_high: it, sampled where the driving view does.
        plain: low + high, over no background.
        enhanced: low + the sampled enhanced texture, over no background.
    """

    embeddings: list[Tensor]
    pose: Tensor
    texture: Tensor
    uv: Tensor
    source_uv: Tensor
    shift: Tensor
    low: Tensor
    high: Tensor
    person: Tensor
    person_logits: Tensor
    enhanced_texture: Tensor
    enhanced_high: Tensor
    plain: Tensor
    enhanced: Tensor


@dataclass(frozen=True)
class View:
    """What the inference generator makes of one pose.

    Attributes:
        shift: of where the texture is sampled (B, 2, n, n), ndc.
        low: low frequencies (B, 3, n, n) in [-1, 1].
        person: share of the person (B, 1, n, n) in [0, 1].
        person_logits: of which it is the sigmoid.
    """

    shift: Tensor
    low: Tensor
    person: Tensor
    person_logits: Tensor


class Embedder(nn.Module):
    """Image and drawing (6 channels) -> embeddings of the identity, one a block of the generators."""

    def __init__(self, config: BiLayerConfig) -> None:
        super().__init__()
        low, high = config.embedded_channels
        halvings = (config.image_px // config.embedding_px).bit_length() - 1
        down = [min(low * 2**i, high) for i in range(halvings + 1)]
        blocks = [ResBlock(*pair, "down") for pair in zip(down[:-1], down[1:], strict=True)]
        self.enc = nn.Sequential(conv(2 * RGB, low), *blocks)
        outs = [down[-1], *config.widths(config.embedded_channels)[1:]]
        self.dec_blocks = nn.ModuleList(ResBlock(*pair) for pair in zip(outs[:-1], outs[1:], strict=True))

    def forward(self, inputs: Tensor) -> list[Tensor]:
        """Inputs (B, 6, n, n) -> embeddings (B, C, e, e)."""
        features, embeddings = self.enc(inputs), []
        for block in self.dec_blocks:
            features, embedding = block.embed(features)  # type: ignore[operator]
            embeddings.append(embedding)
        return embeddings


class IdentityEmbedder(nn.Module):
    """The official part of that name."""

    def __init__(self, config: BiLayerConfig) -> None:
        super().__init__()
        self.net = Embedder(config)

    def forward(self, source: Tensor, stickman: Tensor, mask: Tensor) -> list[Tensor]:
        """Source and drawing (B, 3, n, n) in [-1, 1], the person's mask (B, 1, n, n) -> embeddings."""
        return self.net(torch.cat([over_black(source, mask), stickman], 1))


class PoseEmbedder(nn.Module):
    """Four linear layers."""

    def __init__(self, config: BiLayerConfig) -> None:
        super().__init__()
        self.shape = (config.inference_channels[1], config.input_px, config.input_px)
        wide, act = config.pose_channels, nn.LeakyReLU(SLOPE)
        self.mlp = nn.Sequential(
            linear(2 * config.num_landmarks, wide), act, linear(wide, wide), act, linear(wide, wide), act,
            linear(wide, self.shape[0] * config.input_px**2),
        )  # fmt: skip

    def forward(self, landmarks: Tensor) -> Tensor:
        """Landmarks (B, 68, 2) -> a code (B, C, 4, 4)."""
        return self.mlp(landmarks.flatten(1)).unflatten(1, self.shape)


class KeypointsEmbedder(nn.Module):
    """The official part of that name."""

    def __init__(self, config: BiLayerConfig) -> None:
        super().__init__()
        self.net = PoseEmbedder(config)

    def forward(self, landmarks: Tensor) -> Tensor:
        """Landmarks (B, 68, 2) -> a code (B, C, 4, 4)."""
        return self.net(landmarks)


class TextureGenerator(nn.Module):
    """The official part of that name: embeddings -> a texture."""

    def __init__(self, config: BiLayerConfig) -> None:
        super().__init__()
        widths = config.widths(config.embedded_channels)
        self.gen_tex_input = nn.Parameter(torch.randn(1, widths[0], config.input_px, config.input_px))
        self.gen_tex = PredictedStack(widths, config.input_px, (RGB,), spade=True)
        self.prj_tex = Projector(widths, widths, spade=True)

    def forward(self, embeddings: list[Tensor]) -> Tensor:
        """Embeddings of B identities -> textures (B, 3, n, n) in [-1, 1]."""
        start = self.gen_tex_input.expand(len(embeddings[0]), -1, -1, -1)
        (texture,) = self.gen_tex(start, iter(self.prj_tex(embeddings)))
        return texture.tanh()


class InferenceGenerator(nn.Module):
    """The official part of that name: a pose's code -> how the texture is sampled, low frequencies, and the person."""

    def __init__(self, config: BiLayerConfig) -> None:
        super().__init__()
        widths = config.widths(config.inference_channels)
        self.gen_inf = PredictedStack(widths, config.input_px, (2, RGB, 1), spade=False)
        self.prj_inf = Projector(config.widths(config.embedded_channels), widths, spade=False)
        self.identity_grid: Tensor
        grid = identity_grid((config.image_px, config.image_px)).permute(0, 2, 3, 1)
        # Carried because the checkpoint has it; `warp` makes the same numbers.
        self.register_buffer("identity_grid", grid.contiguous())

    def forward(self, pose: Tensor, predicted: list[tuple[Tensor, Tensor]]) -> View:
        """Code (B, C, 4, 4) and what `prj_inf` predicts for its identity."""
        shift, low, person = self.gen_inf(pose, iter(predicted))
        places = shift.to(torch.promote_types(shift.dtype, torch.float32))  # where to sample, also under autocast
        return View(places.tanh(), low.tanh(), person.sigmoid(), person)


class EnhancerNet(nn.Module):
    """Texture and gradient (6 channels) -> the texture's update; places are the published names of tensors."""

    def __init__(self, config: BiLayerConfig) -> None:
        super().__init__()
        full, half = config.enhancer_channels
        inner = [ResBlock(half, half) for _ in range(config.enhancer_blocks)]
        # The last but two is the absent norm's place.
        self.blocks = nn.Sequential(
            conv(2 * RGB, full), ResBlock(full, half, "down"), *inner, ResBlock(half, full, "up"),
            nn.Identity(), nn.LeakyReLU(SLOPE), conv(full, RGB),
        )  # fmt: skip

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs (B, 6, n, n) -> (B, 3, n, n)."""
        return self.blocks(inputs)


class TextureEnhancer(nn.Module):
    """The official part of that name: corrects a texture by how its rendering differs from the source."""

    def __init__(self, config: BiLayerConfig) -> None:
        super().__init__()
        self.steps = config.enhancer_steps
        self.net = EnhancerNet(config)

    def forward(self, texture: Tensor, view: View, source: Tensor) -> Tensor:
        """Textures (B, 3, n, n), the view of the source's pose, and the source in [-1, 1] -> enhanced textures.

        Quirk: the source is composited with the person as *predicted*, not with its mask.
        """
        target = over_black(source, view.person)
        for _ in range(self.steps):
            gradient = error_gradient(texture, view, target)
            texture = texture + self.net(torch.cat([texture, gradient], 1)).tanh()
        return texture


def over_black(img: Tensor, share: Tensor) -> Tensor:
    """Composite images in [-1, 1] over black by a share in [0, 1]."""
    return img * share - (1 - share)


def error_gradient(texture: Tensor, view: View, target: Tensor) -> Tensor:
    """Gradient by the texture of half the squared error of its rendering, summed over an item's pixels.

    It is taken in every mode of the caller, `torch.inference_mode` included, for which the inputs are copied; no
    gradient flows through it to whatever made its inputs.
    """
    with torch.inference_mode(False), torch.enable_grad():
        copies = (view.shift, view.low, view.person, target)
        shift, low, person, wanted = (value.detach().clone() for value in copies)
        variable = texture.detach().clone().requires_grad_()
        rendered = over_black(low + sample(variable, shift), person)
        (gradient,) = torch.autograd.grad(((rendered - wanted) ** 2).sum() / 2, variable)
    return gradient


def sample(texture: Tensor, shift: Tensor) -> Tensor:
    """Textures (B, 3, n, n) at identity + shift (B, 2, n, n)."""
    return warp(texture, shift, padding="zeros", align_corners=False)


class BiLayer(nn.Module):
    """The network; its parts bear the official names, so that a released file's key K of part P is `P.K` here."""

    def __init__(self, config: BiLayerConfig | None = None) -> None:
        super().__init__()
        self.config = config or BiLayerConfig()
        self.native_px = self.config.image_px
        self.identity_embedder = IdentityEmbedder(self.config)
        self.texture_generator = TextureGenerator(self.config)
        self.keypoints_embedder = KeypointsEmbedder(self.config)
        self.inference_generator = InferenceGenerator(self.config)
        self.texture_enhancer = TextureEnhancer(self.config)
        marks, side = (self.config.num_landmarks, 2), self.native_px
        self._signal_shapes = {
            "source_landmarks": marks, "driving_landmarks": marks,
            "stickman": (RGB, side, side), "mask": (1, side, side),
        }  # fmt: skip

    def forward(self, source: Tensor, signals: Signals, base_learns: bool = True) -> Made:
        """Animate sources.

        Args:
            source: (B, 3, n, n) in [0, 1], in Bi-Layer's crop (`pipeline.adapters.bilayer.crop`).
            signals: `source_landmarks` and `driving_landmarks` (B, 68, 2), ndc of the crops of source and driver;
                `stickman` (B, 3, n, n) in [0, 1], the source's landmarks drawn by `pipeline.adapters.bilayer.stickman`;
                `mask` (B, 1, n, n) in [0, 1], the person in the source (ones where nobody segmented it).
            base_learns: whether gradients reach more than the enhancer.

        Returns:
            The driver's crop, composited over `config.background` by the predicted person; not clamped. `own` is
            `BiLayerParts`.

        Raises:
            ValueError: an input is absent or has another shape; the message names it.
        """
        check_inputs(source, self.native_px, signals, self._signal_shapes)
        img, inference = 2 * source - 1, self.inference_generator
        with torch.set_grad_enabled(torch.is_grad_enabled() and base_learns):
            embeddings = self.identity_embedder(img, 2 * signals["stickman"] - 1, signals["mask"])
            texture = self.texture_generator(embeddings)
            predicted = inference.prj_inf(embeddings)
            pose = self.keypoints_embedder(signals["driving_landmarks"])
            view = inference(pose, predicted)
            source_view = inference(self.keypoints_embedder(signals["source_landmarks"]), predicted)
            high = sample(texture, view.shift)
        share, seen = view.person, source_view
        if self.config.background is None:
            share = torch.ones_like(share)
            seen = replace(seen, person=share)
        enhanced_texture = self.texture_enhancer(texture, seen, img)
        enhanced_high = sample(enhanced_texture, view.shift)
        grid = inference.identity_grid.permute(0, 3, 1, 2)
        parts = BiLayerParts(
            embeddings, pose, texture, grid + view.shift, grid + source_view.shift, view.shift, view.low, high,
            view.person, view.person_logits, enhanced_texture, enhanced_high, view.low + high,
            view.low + enhanced_high,
        )  # fmt: skip
        background = (self.config.background or 0.0) * (1 - share)
        return Made((parts.enhanced + 1) / 2 * share + background, _panels(parts), parts)


def _panels(parts: BiLayerParts) -> dict[str, Tensor]:
    """Images of the parts in [0, 1], by caption."""
    shown = {
        "texture": parts.texture, "enhanced texture": parts.enhanced_texture,
        "low frequencies": parts.low, "sampled texture": parts.high,
    }  # fmt: skip
    panels = {caption: ((img + 1) / 2).clamp(0, 1) for caption, img in shown.items()}
    return {**panels, "person": parts.person.expand(-1, 3, -1, -1)}
