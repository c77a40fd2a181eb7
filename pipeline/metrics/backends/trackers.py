"""Head trackers as backends of AED and APD: DECA and Deep3DFaceRecon, and one that cannot look at generated images."""

from typing import NoReturn

from pipeline.metrics.backends.head_codes import HeadCodes
from pipeline.metrics.protocols import BackendUnavailable, Opening
from pipeline.trackers.deca import DecaReader
from pipeline.trackers.deep3d import Deep3dReader


class Deca(HeadCodes):
    """FLAME by DECA."""

    name = "deca"
    reader_class = DecaReader


class Deep3D(HeadCodes):
    """The Basel face by Deep3DFaceRecon."""

    name = "deep3d"
    reader_class = Deep3dReader


class Landmarks:
    """The fitter of given landmarks."""

    name = "landmarks"

    @classmethod
    def open(cls, opening: Opening) -> NoReturn:
        """Refuse: a table of landmarks of real frames says nothing about generated ones."""
        raise BackendUnavailable(
            "the fitter `landmarks` reads a table of real frames; nobody has detected landmarks on generated ones"
        )
