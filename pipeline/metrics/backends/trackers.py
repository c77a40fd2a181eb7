"""Trackers that cannot look at generated images here: each says why, so that AED and APD show a dash."""

from typing import NoReturn

from pipeline.assets import require
from pipeline.metrics.protocols import BackendUnavailable, Opening


class Deca:
    """FLAME by DECA."""

    name = "deca"

    @classmethod
    def open(cls, opening: Opening) -> NoReturn:
        """Say which weights are missing (AssetMissing), or that this version cannot run them."""
        require("deca")
        raise BackendUnavailable("DECA: its weights are imported, but this version has no adapter for the network")


class Deep3D:
    """BFM by Deep3DFaceRecon."""

    name = "deep3d"

    @classmethod
    def open(cls, opening: Opening) -> NoReturn:
        """Say that this version cannot run it."""
        raise BackendUnavailable("Deep3DFaceRecon: this version has no adapter for the network")


class Landmarks:
    """The fitter of given landmarks."""

    name = "landmarks"

    @classmethod
    def open(cls, opening: Opening) -> NoReturn:
        """Refuse: a table of landmarks of real frames says nothing about generated ones."""
        raise BackendUnavailable(
            "the fitter `landmarks` reads a table of real frames; nobody has detected landmarks on generated ones"
        )
