"""`pwm assets`: bring weights and heads in, record which files they are, say what is there.

A file is written before its record: an import that was killed in between leaves a file that differs from its record,
which every stage refuses with the remedy.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.atomic import written_aside
from model.heads.arrays import arrays_sha256, load_arrays, save_head
from pipeline.console import say
from pipeline.heads.imports import IMPORTERS, flat, in_runs
from pipeline.released.bring import Misfit, bring
from pipeline.released.normalised import wrong_normalised
from pipeline.released.systems import SYSTEMS
from pipeline.store.assets import RECORD, asset_named, asset_path, hash_of, import_command, read_record, table
from pipeline.store.provenance import sha256_file, write_json
from pipeline.tools.recognise import WEIGHTS, asset_with, check_weights, strange_content, text_content


@dataclass(frozen=True)
class AssetStatus:
    """What is known of one asset.

    Attributes:
        name: its key in `pipeline.assets.ASSETS`.
        present: yes, part (files of its release were missing) or no.
        sha256: of its file, empty where there is none.
        record: what the record says of the file: `as recorded`, `not recorded`, `recorded as ...`; empty where there
            is neither.
    """

    name: str
    present: str
    sha256: str
    record: str


def import_files(name: str, files: Sequence[Path]) -> list[Path]:
    """Import one asset, everything checked before anything is written, and record its hash.

    Args:
        name: a key of `pipeline.assets.ASSETS`.
        files: its files, or the folder they are in.

    Returns:
        The files written to the assets folder; each has a card (.json) beside it with the hashes of its inputs.

    Raises:
        FileNotFoundError: a file is not there, or one that the asset needs is not among them.
        ValueError: an unknown name, or a file that is not what it should be.
    """
    asset = asset_named(name)
    if asset.comes_with:
        raise ValueError(f"{name} is made of the release of {asset.comes_with}: `{import_command(name)}`")
    given = [Path(file) for file in files]
    for file in given:
        if not file.exists():
            raise FileNotFoundError(f"{name}: there is no file {file}")
    read_record()  # a damaged one is refused before anything is written
    if name in IMPORTERS:
        written = _import_head(name, given)
    else:
        written = {name: _import_system(name, given) if name in SYSTEMS else _copy(name, given)}
    record(list(written))
    return list(written.values())


def record(names: Sequence[str]) -> dict[str, tuple[str | None, str | None]]:
    """Take the files in the assets folder as they are: write their hashes into the record.

    Args:
        names: assets; none stands for all of them, and then a damaged record is written anew.

    Returns:
        Name -> hash before and now, of the assets whose record changed.

    Raises:
        ValueError: a file is not what its name says; nothing is recorded then.
    """
    for name in names:
        asset_named(name)
    before = read_record() if names else _readable_record()
    now = {name: before.get(name) for name in sorted(table())}
    for name in names or now:
        path = asset_path(name)
        now[name] = hash_of(path) if path.is_file() else None
        if now[name] not in (None, before.get(name)):
            _check(name, path)
    if now != before:
        write_json(RECORD, now)
    return {name: (before.get(name), sha256) for name, sha256 in now.items() if before.get(name) != sha256}


def status() -> list[AssetStatus]:
    """What is there and whether it is what the record says, one row an asset."""
    recorded = read_record()
    return [_status(name, recorded.get(name)) for name in sorted(table())]


def _status(name: str, recorded: str | None) -> AssetStatus:
    path = asset_path(name)
    if not path.is_file():
        return AssetStatus(name, "no", "", f"recorded as {recorded}" if recorded else "")
    sha256 = hash_of(path)
    same = "as recorded" if sha256 == recorded else f"recorded as {recorded}" if recorded else "not recorded"
    return AssetStatus(name, "part" if _read_card(path).get("missing") else "yes", sha256, same)


def _copy(name: str, given: Sequence[Path]) -> Path:
    if len(given) != 1:
        raise ValueError(f"{name}: expected one file, got {len(given)}")
    if not given[0].is_file():
        raise ValueError(f"{name}: {given[0]} is no file, expected {asset_named(name).released_as}")
    check_weights(name, given[0], asset_named(name).released_as)
    path = asset_path(name)
    with written_aside(path) as partial:
        shutil.copyfile(given[0], partial)
    _write_card(name, path, {})
    return path


def _check(name: str, path: Path) -> None:
    """Hold a file of the assets folder to its name; heads and systems are in this project's own form there."""
    if name in SYSTEMS:
        if wrong := strange_content(path) or wrong_normalised(name, path):
            raise ValueError(f"{name}: {path} {wrong}; expected what `{import_command(name)}` writes")
    elif name in WEIGHTS:
        check_weights(name, path, asset_named(name).released_as)
    else:
        load_arrays(path)


def _import_head(name: str, given: Sequence[Path]) -> dict[str, Path]:
    try:
        made = IMPORTERS[name](flat(given))
    except ValueError as error:
        strange = next(((file, what) for file in flat(given) if (what := strange_content(file))), None)
        if strange is None:
            raise
        raise ValueError(f"{name}: {strange[0]} {strange[1]} ({error})") from None
    inputs = {file.name: sha256_file(file) for file in made.used}
    written = {}
    for arrays in made.heads:
        path = asset_path(arrays.name)
        save_head(path, arrays)
        facts = {"source": asset_named(name).source, "inputs": inputs, "head_sha256": arrays_sha256(arrays)}
        _write_card(name, path, facts | {"missing": list(made.missing)})
        written[arrays.name] = path
    if made.missing:
        say(f"{name}: imported in part; the release has {len(made.missing)} more files: {in_runs(made.missing)}")
    return written


def _import_system(name: str, given: Sequence[Path]) -> Path:
    asset, path = asset_named(name), asset_path(name)
    try:
        brought = bring(name, given, asset.released_as, path)
    except (ValueError, FileNotFoundError) as error:
        wrong = _another_assets(name, error) or _first_strange(name, given) or str(error)
        expected = "" if asset.released_as in wrong else f"; expected {asset.released_as}"
        raise ValueError(f"{name}: {wrong}{expected}") from None
    _write_card(name, path, dict(brought.facts) | {"inputs": {file.name: sha256_file(file) for file in brought.used}})
    if brought.note:
        say(f"{name}: {brought.note}")
    return path


def _another_assets(name: str, error: Exception) -> str:
    """Whose weights a file holds that is not what it was brought in as; empty where they are nobody's."""
    meant = asset_with(error.content) if isinstance(error, Misfit) else ""
    if not isinstance(error, Misfit) or meant in ("", name):
        return ""
    return f"{error.path} holds the weights of {meant}: `{import_command(meant)}`"


def _first_strange(name: str, given: Sequence[Path]) -> str:
    """What came in the place of one of the files; beside TensorFlow's files there is text that belongs to them."""
    for file in flat(given):
        if what := strange_content(file) or ("" if SYSTEMS[name].tensorflow else text_content(file)):
            return f"{file} {what}"
    return ""


def _write_card(name: str, path: Path, facts: Mapping[str, Any]) -> None:
    """Write beside an imported file what it is, its sha256, its licence and further facts."""
    asset = asset_named(name)
    card = {"name": name, "released_as": asset.released_as, "licence": asset.licence, "sha256": hash_of(path)}
    write_json(_card(path), card | dict(facts))


def _read_card(path: Path) -> dict[str, Any]:
    card = _card(path)
    return json.loads(card.read_text()) if card.exists() else {}


def _card(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _readable_record() -> dict[str, str | None]:
    try:
        return read_record()
    except ValueError:
        return {}
