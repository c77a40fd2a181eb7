"""Manifests: one file that stands for a folder too large for DVC to hash on every command.

A manifest lists every file below a data set's folder: path, bytes and a key of the content. It holds no
times and no absolute paths, so that equal data give equal bytes on every machine.
"""

import csv
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.params.data import MANIFEST_SUFFIX, DataParams, SourceParams
from pipeline.sources.request import SourceError
from pipeline.sources.video_files import walk
from pipeline.store.provenance import write_text

COLUMNS = ["path", "bytes", "key"]

# Above this size the key of a picture or video is of its size, first and last `SAMPLE` bytes: reading a data
# set whole takes hours, and a new download or another encoding never keeps all three. Tables are read whole.
SAMPLE = 1 << 16
TABLES = (".csv", ".json", ".npz", ".parquet", ".txt")


@dataclass(frozen=True)
class Scan:
    """A manifest just written, and how it differs from the one before."""

    path: Path
    num_files: int
    num_bytes: int
    added: int
    removed: int
    changed: int


def scan_all(data: DataParams) -> list[Scan]:
    """Write the manifest of each data set that has one.

    Raises:
        SourceError: none has, or a folder is missing.
    """
    watched = [source for source in data.sources().values() if source.watch.endswith(MANIFEST_SUFFIX)]
    if not watched:
        raise SourceError(
            f"no data set has a manifest: set data.first.watch or data.watch_second to NAME{MANIFEST_SUFFIX} "
            "where a folder is too large for DVC to hash on every command"
        )
    return [scan(source, data.root_folder()) for source in watched]


def scan(source: SourceParams, root: Path) -> Scan:
    """Write the manifest that `source.watch` names.

    Raises:
        SourceError: there is no such folder.
    """
    folder, path = root / source.folder, root / source.watch
    if not folder.is_dir():
        raise SourceError(f"{source.name}: there is no folder {folder} to scan")
    before = dict(_read(path)) if path.exists() else {}
    now = {name: (str(file.stat().st_size), content_key(file)) for name, file in _files(folder)}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([name, *facts] for name, facts in now.items())
    write_text(path, text.getvalue())
    changed = sum(before[name] != facts for name, facts in now.items() if name in before)
    num_bytes = sum(int(size) for size, _ in now.values())
    return Scan(path, len(now), num_bytes, len(now.keys() - before), len(before.keys() - now), changed)


def check_manifest(source: SourceParams, root: Path) -> None:
    """Compare the names in a source's manifest with those in its folder; nothing where it has none.

    Raises:
        SourceError: the manifest is missing, is none, or lists other files than are there.
    """
    if not source.watch.endswith(MANIFEST_SUFFIX):
        return
    path, folder = root / source.watch, root / source.folder
    if not path.is_file():
        raise SourceError(f"{source.name}: there is no manifest {path}: run `pwm data scan`")
    listed, held = {name for name, _ in _read(path)}, {name for name, _ in _files(folder)}
    for what, names in (("lacks", held - listed), ("lists, though they are gone,", listed - held)):
        if names:
            raise SourceError(
                f"{source.name}: {path} {what} {len(names)} files of {folder}, such as {min(names)}: "
                "run `pwm data scan`"
            )


def content_key(path: Path) -> str:
    """Short sha256 of a file's content: of all of it, or of size, beginning and end where it is large."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        if size <= 2 * SAMPLE or path.suffix.lower() in TABLES:
            while block := file.read(1 << 20):
                digest.update(block)
        else:
            digest.update(file.read(SAMPLE))
            file.seek(-SAMPLE, 2)
            digest.update(file.read(SAMPLE))
    return digest.hexdigest()[:16]


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Files below a folder by relative path; manifests, and what is no data (`is_foreign`), are left out."""
    for path in walk(folder):
        if not path.name.endswith(MANIFEST_SUFFIX):
            yield path.relative_to(folder).as_posix(), path


def _read(path: Path) -> Iterator[tuple[str, tuple[str, str]]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        for row in reader:
            if len(row) != len(COLUMNS) or (reader.line_num == 1 and row != COLUMNS):
                raise SourceError(f"{path}:{reader.line_num}: expected {','.join(COLUMNS)}: run `pwm data scan`")
            if reader.line_num > 1:
                yield row[0], (row[1], row[2])
