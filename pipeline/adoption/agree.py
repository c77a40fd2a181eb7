"""Say of what is found whether it is what is wanted, by a refusal that names the first difference."""

from collections.abc import Mapping
from typing import Any


def agree(where: str, what: str, found: object, wanted: object) -> None:
    """Refuse a value that is not the wanted one.

    Raises:
        ValueError: the message has where, what, and both values.
    """
    if found != wanted:
        shown, asked = (str(value)[:80] for value in (found, wanted))
        raise ValueError(f"{where}: its {what} is {shown}, wanted now is {asked}")


def agree_settings(where: str, section: str, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Refuse a model of other parameters, by the first key that differs.

    Args:
        where: the model's folder, for messages.
        section: where both stand in params.yaml, such as `recipes.toy64`.
        found: what the model was trained by.
        wanted: what stands there now.

    Raises:
        ValueError: they differ; the message has the key, both values and what to do.
    """
    for key in [*wanted, *(key for key in found if key not in wanted)]:
        old, new = found.get(key, "absent"), wanted.get(key, "absent")
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            agree_settings(where, f"{section}.{key}", old, new)
        elif old != new:
            remedy = f"set it to {old}" if key in found and key in wanted else "use the version that trained it"
            raise ValueError(
                f"{where}: its {section}.{key} is {old}, wanted now is {new}: {remedy}, or train the row again"
            )
