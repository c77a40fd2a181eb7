"""Which files a row is trained from."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.store.clips import FOLDERS


@dataclass(frozen=True)
class TrainInputs:
    """Files that a row is trained from.

    Attributes:
        clips: folder of packed training clips.
        fits: fits of these clips with the row's head.
        head: the head's .npz.
        parts: part labels of these clips; read only where the method's section asks for them.
    """

    clips: Path
    fits: Path
    head: Path
    parts: Path | None = None

    @classmethod
    def of(cls, data: Path, head: str) -> "TrainInputs":
        """Where the graph keeps them below its folder `data`, for rows of one head."""
        split = FOLDERS["train"]
        return cls(
            clips=data / "clips" / split,
            fits=data / "fits" / head / f"{split}.parquet",
            head=data / "heads" / f"{head}.npz",
            parts=data / "parts" / f"{split}.arrow",
        )
