"""Plug-ins by name: a literal dict `name -> "module:Class"`, imported when first asked for."""

import difflib
from collections.abc import Mapping
from importlib import import_module
from typing import Any


def resolve(table: Mapping[str, str], name: str, kind: str) -> Any:
    """Import what `table` holds under `name`.

    Raises:
        ValueError: there is no such name; the message lists the names that exist.
    """
    if name not in table:
        near = difflib.get_close_matches(name, table, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"unknown {kind} {name!r}: expected one of {', '.join(sorted(table))}{hint}")
    module, _, attribute = table[name].partition(":")
    return getattr(import_module(module), attribute)
