"""Files of third parties that this project may not ship: found by name, and held to the hash that is on record.

`assets.lock.json` stands at the top of the project and is committed as dvc.lock is: name -> sha256 of the imported
file, null where there is none. DVC sees releases through it (stage `weights`), so nothing may use a file that differs
from it. `pwm assets fetch`, `pwm assets import` and `pwm assets record` write it.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

from pipeline.store.provenance import sha256_file

RECORD = Path("assets.lock.json")
_TABLE = "pipeline.assets:ASSETS"  # a door: what stands in the table decides on no result, the file's hash does
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Asset:
    """Something of third parties.

    Attributes:
        file: its file in the assets folder.
        released_as: what its release calls it.
        source: where that is.
        licence: under which terms.
        arguments: of `pwm assets import NAME`.
        comes_with: the asset whose import makes this one too; empty where it is imported by its own name.
        fetch: its name for `pwm assets fetch`; empty where its owner wants to be asked, or gives no steady address.
    """

    file: str
    released_as: str
    source: str
    licence: str
    arguments: str = "FILE"
    comes_with: str = ""
    fetch: str = ""


class AssetMissing(RuntimeError):
    """A file that this project may not ship has not been imported."""


class AssetRefused(RuntimeError):
    """An asset's file and its record disagree, so that a result made with it would be kept under a wrong name."""


def table() -> Mapping[str, Asset]:
    """All assets by name."""
    module, _, attribute = _TABLE.partition(":")
    found: Mapping[str, Asset] = getattr(import_module(module), attribute)
    return found


def asset_named(name: str) -> Asset:
    """Look an asset up.

    Raises:
        ValueError: there is none of this name; the message lists the names that exist.
    """
    assets = table()
    if name not in assets:
        raise ValueError(f"unknown asset {name!r}: expected one of {', '.join(sorted(assets))}")
    return assets[name]


def assets_dir() -> Path:
    """Folder of imported assets: `$PWM_ASSETS`, or `data/assets`, of the main project also in a copy that DVC makes."""
    return Path(os.environ.get("DVC_ROOT", "."), os.environ.get("PWM_ASSETS", "data/assets"))


def asset_path(name: str) -> Path:
    """Where an asset's file lies, or would lie."""
    return assets_dir() / asset_named(name).file


def asset_meant(weights: str) -> str | None:
    """Name of the asset that a parameter means: the name itself, or the path of its file in the assets folder.

    None where it is another path.

    Raises:
        ValueError: it is neither a path nor the name of an asset.
    """
    if "/" not in weights:
        asset_named(weights)
        return weights
    path, folders = Path(weights), (Path("data", "assets"), assets_dir())
    return next((name for name, asset in table().items() if path in [folder / asset.file for folder in folders]), None)


def require(name: str) -> Path:
    """Return the path of an imported asset whose file is the one on record.

    Raises:
        AssetMissing: it has not been imported; the message says what to get, from where, and the command.
        AssetRefused: its file is not the one on record; the message names the file, both hashes and the remedies.
        ValueError: there is no asset of this name, or the record is damaged.
    """
    if recorded_sha256(name) is None:
        raise AssetMissing(f"{name}: no weights; {how_to_get(name)}")
    return asset_path(name)


def recorded_sha256(name: str) -> str | None:
    """The hash of an asset's file, which is the one on record; None where there is neither.

    Raises:
        AssetRefused, ValueError: see `require`.
    """
    path, recorded = asset_path(name), read_record().get(name)
    present = path.is_file()
    if recorded is None and not present:
        return None
    if recorded is None:
        raise AssetRefused(
            f"{path} is there, but not on record in {RECORD}: `pwm assets record {name}` takes the file as it is"
        )
    if not present:
        raise AssetRefused(
            f"{RECORD} records {name} with sha256 {recorded}, but there is no {path}: {how_to_get(name)}, or go on "
            f"without it after `pwm assets record {name}`"
        )
    if (found := hash_of(path)) != recorded:
        raise AssetRefused(
            f"{path} has sha256 {found}, but {RECORD} records {recorded}: {_ways(name)} brings in the "
            f"release that is wanted, `pwm assets record {name}` takes the file as it is"
        )
    return recorded


def how_to_get(name: str) -> str:
    """The command that brings an asset, what it is, from where and under which licence, as the end of a message."""
    asset = asset_named(name)
    what = f"{asset.released_as} ({asset.source}; {asset.licence})"
    if not asset.fetch:
        return f"get {what}, then `{import_command(name)}`"
    return f"`{fetch_command(name)}` fetches {what}; or get it yourself, then `{import_command(name)}`"


def _ways(name: str) -> str:
    """Every command that brings an asset in."""
    fetching = f"`{fetch_command(name)}` or " if asset_named(name).fetch else ""
    return f"{fetching}`{import_command(name)}`"


def command_for(name: str) -> str:
    """The one command that helps where an asset is missing: a fetch where it may be fetched, else an import."""
    return fetch_command(name) if asset_named(name).fetch else import_command(name)


def fetch_command(name: str) -> str:
    """The command that fetches an asset that may be fetched."""
    return f"pwm assets fetch {asset_named(name).fetch}"


def import_command(name: str) -> str:
    """The command that brings in an asset that the user has."""
    asset = asset_named(name)
    return f"pwm assets import {asset.comes_with or name} {asset.arguments}"


def read_record() -> dict[str, str | None]:
    """Read `assets.lock.json` of the working folder: name -> sha256 or None; empty where there is no such file.

    Raises:
        ValueError: it is no such record; the message names the file and the remedy.
    """
    try:
        record = json.loads(RECORD.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ValueError(f"{RECORD} is no JSON ({error}): `pwm assets record` writes it anew") from None
    entries = record.items() if isinstance(record, dict) else [("all of it", record)]
    strange = [f"{name}: {value!r}" for name, value in entries if not _is_hash(value)]
    if strange:
        raise ValueError(
            f"{RECORD} holds {', '.join(strange)}; expected a sha256 or null for each name: `pwm assets record` writes "
            "it anew"
        )
    return dict(entries)


def hash_of(path: Path) -> str:
    """The sha256 of an asset's file, computed once a process for each state of the file."""
    state = path.stat()
    return _hash_of(path, state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)


@cache
def _hash_of(path: Path, *_state: int) -> str:
    return sha256_file(path)


def _is_hash(value: object) -> bool:
    return value is None or (isinstance(value, str) and _SHA256.fullmatch(value) is not None)
