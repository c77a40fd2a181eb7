"""A network's config out of a model's config.json, which has other things beside it."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

Config = TypeVar("Config")


def config_of(kind: type[Config], stored: Mapping[str, Any]) -> Config:
    """Read the fields of a config's class; lists become the tuples that JSON made lists of.

    What the class calls `BEFORE` is taken for keys that are younger than the file.

    Raises:
        ValueError: config.json lacks some; the message names them.
    """
    stored = {**getattr(kind, "BEFORE", {}), **stored}
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    missing = [name for name in names if name not in stored]
    if missing:
        raise ValueError(f"config.json of a {kind.__name__.removesuffix('Config')} lacks {', '.join(missing)}")
    values = {name: stored[name] for name in names}
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
