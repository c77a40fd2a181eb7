"""Files of a model: the trained animator that others load."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save

from model.atomic import written_aside
from model.heads.head import HeadModel
from model.pwm.animator import Animator, AnimatorConfig
from model.pwm.config import GeneratorConfig, GuidanceConfig, complete_generator

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
    state = {name: value.detach().cpu().contiguous() for name, value in animator.state_dict().items()}
    with written_aside(folder / WEIGHTS) as partial:
        partial.write_bytes(save(state))
    config = {
        **asdict(animator.config),
        "head": {"name": animator.head.name, "sha256": animator.head.sha256},
        "step": step,
        "provenance": dict(provenance),
    }
    with written_aside(folder / CONFIG) as partial:
        partial.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def trained_head(folder: Path) -> str:
    """Name of the head that a trained animator was trained with.

    Raises:
        FileNotFoundError: the folder holds no model; the message names the models beside it.
    """
    return read_config(folder)["head"]["name"]


def read_config(folder: Path) -> dict[str, Any]:
    """Read a trained model's config.json: its sizes, its head, its step and what it was made from.

    Raises:
        FileNotFoundError: the folder holds no model; the message names the models beside it.
    """
    missing = [name for name in (CONFIG, WEIGHTS) if not (folder / name).exists()]
    if missing:
        beside = ", ".join(sorted(path.parent.name for path in folder.parent.glob(f"*/{CONFIG}"))) or "none"
        raise FileNotFoundError(
            f"no trained model in {folder}: {' and '.join(missing)} missing; run the stage `train` (trained: {beside})"
        )
    return json.loads((folder / CONFIG).read_text())


def load_animator(folder: Path, head: HeadModel) -> Animator:
    """Load a trained animator for inference, on the CPU.

    Raises:
        FileNotFoundError: the folder holds no model.
        ValueError: the model was trained with another head (the message names both), or its files do
            not belong together.
    """
    config = read_config(folder)
    trained = config["head"]
    if (trained["name"], trained["sha256"]) != (head.name, head.sha256):
        raise ValueError(
            f"the model in {folder} was trained with head {trained['name']!r} ({trained['sha256'][:12]}), "
            f"but it was given head {head.name!r} ({head.sha256[:12]})"
        )
    animator = Animator(
        head,
        AnimatorConfig(
            guidance=GuidanceConfig(**config["guidance"]),
            generator=GeneratorConfig(**complete_generator(config["generator"])),
        ),
    )
    try:
        animator.load_state_dict(load_file(folder / WEIGHTS))
    except (RuntimeError, SafetensorError) as error:
        raise ValueError(f"{folder / WEIGHTS} does not fit its {CONFIG}: {error}") from error
    return animator.eval()
