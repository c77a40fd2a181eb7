"""A PWM row's files: the generic ones of `model.method.files`, read with the row's head."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model.heads.head import HeadModel
from model.method.files import check_head, load_weights, read_config, save_model
from model.pwm.animator import Animator, AnimatorConfig
from model.pwm.config import GeneratorConfig, GuidanceConfig, complete_generator

METHOD = "pwm"


def save_animator(folder: Path, animator: Animator, step: int, provenance: Mapping[str, Any]) -> None:
    """Write a trained animator; see `model.method.files.save_model`."""
    save_model(folder, METHOD, animator, animator.head, step, provenance)


def load_animator(folder: Path, head: HeadModel) -> Animator:
    """Load a trained animator for inference, on the CPU.

    Raises:
        FileNotFoundError: the folder holds no model.
        ValueError: the model is of another method, or was trained with another head (the message names both), or its
            files do not belong together.
    """
    config = read_config(folder)
    if config["method"] != METHOD:
        raise ValueError(f"the model in {folder} is of the method {config['method']!r}, not of {METHOD!r}")
    check_head(folder, config, head)
    animator = build_animator(config, head)
    load_weights(folder, animator)
    return animator.eval()


def build_animator(config: Mapping[str, Any], head: HeadModel) -> Animator:
    """The animator that a config.json describes, not yet filled; settings that its time did not know are as then."""
    guidance, generator = GuidanceConfig(**config["guidance"]), complete_generator(config["generator"])
    return Animator(head, AnimatorConfig(guidance=guidance, generator=GeneratorConfig(**generator)))
