"""Licence and notice of a third party's file, laid beside it: NAME.LICENSE and NAME.NOTICE."""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from model.atomic import written_aside
from pipeline.store.provenance import write_text

_NAMES = ("license", "licence", "copying")


def lay_beside(path: Path, notice: str, licence: bytes | None) -> None:
    """Write what must stay with a file.

    Args:
        path: the file.
        notice: whose it is, where it came from, what was changed.
        licence: the text of the licence; None where its owner ships none, and the notice says all there is.
    """
    write_text(path.with_name(f"{path.name}.NOTICE"), notice.strip() + "\n")
    beside = path.with_name(f"{path.name}.LICENSE")
    if licence is None:
        beside.unlink(missing_ok=True)
        return
    with written_aside(beside) as partial:
        partial.write_bytes(licence)


def licence_of_package(package: str) -> bytes | None:
    """The licence file that an installed package brought along; None where it has none."""
    if not package:
        return None
    try:
        files = distribution(package).files or []
    except PackageNotFoundError:
        return None
    for file in sorted(files, key=str):
        found = Path(str(file.locate()))
        if ".dist-info" in str(file) and file.name.lower().startswith(_NAMES) and found.is_file():
            return found.read_bytes()
    return None
