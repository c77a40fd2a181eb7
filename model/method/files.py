"""Files of a model: weights and config.json, whatever the method.

config.json names the method, the head that the network was trained with (null where it needs none), how it was made
(trained here, or taken over from its authors' release) and from what; the other keys are the network's own config.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from model.atomic import written_aside
from model.heads.head import HeadModel

WEIGHTS = "weights.safetensors"
CONFIG = "config.json"
TRAINED = "trained"
FIRST_METHOD = "pwm"  # of models that are older than the key `method`


def save_model(
    folder: Path,
    method: str,
    network: nn.Module,
    head: HeadModel | None,
    step: int,
    provenance: Mapping[str, Any],
    made: str = TRAINED,
) -> None:
    """Write `weights.safetensors` and `config.json`, each atomically and with stable bytes.

    Args:
        folder: created if need be.
        method: name of the method.
        network: its weights and its `config`, a dataclass, are stored.
        head: stored by name and hash.
        step: optimiser steps behind the weights.
        provenance: what the model was made from, as JSON values.
        made: how: trained here, or taken over from its authors' release (`official`).
    """
    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    with written_aside(folder / WEIGHTS) as partial:
        partial.write_bytes(save(state))
    config = {
        **asdict(cast(Any, network.config)),
        "method": method,
        "head": None if head is None else {"name": head.name, "sha256": head.sha256},
        "step": step,
        "made": made,
        "provenance": dict(provenance),
    }
    with written_aside(folder / CONFIG) as partial:
        partial.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def read_config(folder: Path) -> dict[str, Any]:
    """Read a model's config.json; one that names no method is of `FIRST_METHOD`, trained.

    Raises:
        FileNotFoundError: the folder holds no model; the message names the models beside it.
    """
    missing = [name for name in (CONFIG, WEIGHTS) if not (folder / name).exists()]
    if missing:
        beside = ", ".join(sorted(path.parent.name for path in folder.parent.glob(f"*/{CONFIG}"))) or "none"
        raise FileNotFoundError(
            f"no trained model in {folder}: {' and '.join(missing)} missing; run the stage `train` (trained: {beside})"
        )
    return {"method": FIRST_METHOD, "made": TRAINED, **json.loads((folder / CONFIG).read_text())}


def check_head(folder: Path, config: Mapping[str, Any], head: HeadModel) -> None:
    """Refuse a head that a model was not trained with.

    Raises:
        ValueError: the message names both.
    """
    trained = config["head"]
    if (trained["name"], trained["sha256"]) != (head.name, head.sha256):
        raise ValueError(
            f"the model in {folder} was trained with head {trained['name']!r} ({trained['sha256'][:12]}), "
            f"but it was given head {head.name!r} ({head.sha256[:12]})"
        )


def load_weights(folder: Path, network: nn.Module) -> None:
    """Fill a network that was built from the folder's config.json, strictly.

    Raises:
        ValueError: the files do not belong together.
    """
    try:
        network.load_state_dict(load_file(folder / WEIGHTS))
    except (RuntimeError, SafetensorError) as error:
        raise ValueError(f"{folder / WEIGHTS} does not fit its {CONFIG}: {error}") from error
