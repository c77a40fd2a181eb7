"""The state that a killed training run resumes from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from model.atomic import written_aside


class CheckpointStore:
    """The newest training state in a scratch folder: one file, replaced atomically."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "state.pt"

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace the stored state."""
        with written_aside(self.path) as partial:
            torch.save(dict(state), partial)

    def load(self) -> dict[str, Any] | None:
        """Return the stored state on the CPU, or None where there is none."""
        if not self.path.exists():
            return None
        return torch.load(self.path, map_location="cpu", weights_only=True)
