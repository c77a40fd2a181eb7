"""Bi-Layer: the published tensors by name, shape and type, and the same function of them, enhancer and drawing too."""

import torch

from model.baselines.bilayer.network import BiLayer, BiLayerParts, over_black
from pipeline.adapters.bilayer.stickman import draw
from tests.parity.compare import Output, compare
from tests.parity.golden import Fixture
from tests.parity.networks import PRECISIONS, compared, compared_input, drawn
from tests.parity.regressors import load

PARTS = (
    "identity_embedder", "texture_generator", "keypoints_embedder", "inference_generator", "texture_enhancer",
)  # fmt: skip
HEAD = 16  # stored channels of an embedding, and the step of the stored numbers of a pose


def named(parts: BiLayerParts) -> dict[str, torch.Tensor]:
    """Our parts by the golden names."""
    heads = {f"idt_embed_{i}_head": embedding[:, :HEAD] for i, embedding in enumerate(parts.embeddings)}
    return heads | {
        "target_pose_embed": parts.pose.flatten(1)[:, ::HEAD],
        "texture": parts.texture,
        "uv": parts.uv,
        "source_uv": parts.source_uv,
        "lowfreq": parts.low,
        "highfreq": parts.high,
        "segmentation": parts.person,
        "image": parts.plain,
        "image_masked": over_black(parts.plain, parts.person),
        "enhanced_texture": parts.enhanced_texture,
        "enhanced_image": parts.enhanced,
    }


@torch.no_grad()
def check(fixture: Fixture) -> list[Output]:
    """Every stored output, in float32 and in float64, and the source's stickman."""
    golden = fixture.arrays()
    network = BiLayer()
    for part in PARTS:
        load(fixture, f"bilayer_{part}", getattr(network, part))
    side = network.native_px
    seen = drawn(fixture, "source", side, low=-1)
    poses = {role: torch.from_numpy(golden[f"input_{role}_poses"])[None] for role in ("source", "target")}
    stickman = draw(poses["source"].numpy(), side)[0].transpose(2, 0, 1).copy()
    outputs = [
        compared_input("input_source", seen, golden),
        compare("stickman", stickman, golden["input_stickman_u8"]),
    ]
    for dtype in PRECISIONS:
        signals = {
            "source_landmarks": poses["source"].to(dtype),
            "driving_landmarks": poses["target"].to(dtype),
            "stickman": torch.from_numpy(stickman)[None].to(dtype) / 255,
            "mask": torch.ones(1, 1, side, side, dtype=dtype),
        }
        made = network.eval().to(dtype)(((seen.double() + 1) / 2).to(dtype), signals)
        for name, found in named(made.own).items():
            outputs += compared(name, found, golden)
    return outputs
