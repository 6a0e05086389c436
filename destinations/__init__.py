"""The destination types: one file a type, found by looking, named by its slug.

`otel_collector.py` is `otel-collector`. A file whose name starts with an underscore is no destination.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from types import MappingProxyType

from broadcast.destination import Destination


def _discover() -> dict[str, type[Destination]]:
    names = sorted(
        module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")
    )
    return {name.replace("_", "-"): _only_type(name) for name in names}


def _only_type(name: str) -> type[Destination]:
    module = importlib.import_module(f"{__name__}.{name}")
    found = [
        item
        for item in vars(module).values()
        if isinstance(item, type) and issubclass(item, Destination) and item.__module__ == module.__name__
    ]
    if len(found) != 1:
        raise TypeError(f"destinations/{name}.py defines {len(found)} destination types, not one")
    return found[0]


TYPES: Mapping[str, type[Destination]] = MappingProxyType(_discover())
