"""Methods by name: the rooms of their names are imported when first asked for."""

from importlib import import_module

from pipeline.methods.protocol import Adapter

ADAPTERS = "pipeline.adapters"


def adapter_module(method: str) -> str:
    """Module of a method's adapter, for keys of what it makes (`pipeline.store.closure`)."""
    return f"{ADAPTERS}.{method}.adapter"


def adapter_named(method: str) -> type[Adapter]:
    """The adapter of a method.

    Raises:
        ValueError: there is none; the message names the file that is missing.
    """
    module = adapter_module(method)
    try:
        found: type[Adapter] = import_module(module).ADAPTER
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise
        raise ValueError(f"there is no method {method!r}: no {module.replace('.', '/')}.py") from None
    return found
