"""DECA and Deep3DFaceRecon as backends of AED and APD: refused until their adapters exist."""

from pathlib import Path
from typing import NoReturn

from pipeline.assets import require
from pipeline.metrics.protocols import BackendUnavailable


class Deca:
    """FLAME by DECA."""

    name = "deca"

    @classmethod
    def open(cls, head: Path | None, device: str) -> NoReturn:
        """Say which weights are missing (AssetMissing), or that this version cannot run them."""
        require("deca")
        raise BackendUnavailable("DECA: its weights are imported, but this version has no adapter for the network")


class Deep3D:
    """BFM by Deep3DFaceRecon."""

    name = "deep3d"

    @classmethod
    def open(cls, head: Path | None, device: str) -> NoReturn:
        """Say that this version cannot run it."""
        raise BackendUnavailable("Deep3DFaceRecon: this version has no adapter for the network")
