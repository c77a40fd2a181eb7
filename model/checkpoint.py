"""Files of a model: the trained animator that others load, and the state that a killed run resumes from."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from model.heads.head import HeadModel
from model.pwm.animator import Animator, AnimatorConfig
from model.pwm.config import GeneratorConfig, GuidanceConfig

WEIGHTS = "weights.safetensors"
CONFIG = "config.json"


def save_animator(folder: Path, animator: Animator, step: int, provenance: Mapping[str, Any]) -> None:
    """Write `weights.safetensors` and `config.json`, each atomically and with stable bytes.

    Args:
        folder: created if need be.
        animator: its weights and sizes are stored; its head by name and hash.
        step: optimiser steps behind the weights.
        provenance: what the model was made from, as JSON values.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: value.detach().cpu().contiguous() for name, value in animator.state_dict().items()}
    _replace(folder / WEIGHTS, save(state))
    config = {
        **asdict(animator.config),
        "head": {"name": animator.head.name, "sha256": animator.head.sha256},
        "step": step,
        "provenance": dict(provenance),
    }
    _replace(folder / CONFIG, (json.dumps(config, indent=2, sort_keys=True) + "\n").encode())


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(content)
    os.replace(partial, path)


def load_animator(folder: Path, head: HeadModel) -> Animator:
    """Load a trained animator for inference, on the CPU.

    Raises:
        FileNotFoundError: the folder holds no model.
        ValueError: the model was trained with another head (the message names both), or its files do
            not belong together.
    """
    missing = [name for name in (CONFIG, WEIGHTS) if not (folder / name).exists()]
    if missing:
        raise FileNotFoundError(f"no trained model in {folder}: {' and '.join(missing)} missing; run the stage `train`")
    config = json.loads((folder / CONFIG).read_text())
    trained = config["head"]
    if (trained["name"], trained["sha256"]) != (head.name, head.sha256):
        raise ValueError(
            f"the model in {folder} was trained with head {trained['name']!r} ({trained['sha256'][:12]}), "
            f"but it was given head {head.name!r} ({head.sha256[:12]})"
        )
    animator = Animator(
        head,
        AnimatorConfig(guidance=GuidanceConfig(**config["guidance"]), generator=GeneratorConfig(**config["generator"])),
    )
    try:
        animator.load_state_dict(load_file(folder / WEIGHTS))
    except (RuntimeError, SafetensorError) as error:
        raise ValueError(f"{folder / WEIGHTS} does not fit its {CONFIG}: {error}") from error
    return animator.eval()


class CheckpointStore:
    """The newest training state in a scratch folder: one file, replaced atomically."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "state.pt"

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace the stored state."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_name("state.pt.partial")
        torch.save(dict(state), partial)
        os.replace(partial, self.path)

    def load(self) -> dict[str, Any] | None:
        """Return the stored state on the CPU, or None where there is none."""
        if not self.path.exists():
            return None
        return torch.load(self.path, map_location="cpu", weights_only=True)
