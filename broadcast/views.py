"""Ready-made views: the dashboards, alert rules and boards that belong to a destination, filled in."""

import re
from collections.abc import Mapping
from importlib import resources
from typing import Any, Final

from broadcast.destination import Destination
from broadcast.errors import NotFound, SettingsError

NAMESPACE: Final = "__NAMESPACE__"
"""What stands in a view's file where BROADCAST_SERVICE_NAME belongs."""

_SOURCE: Final = re.compile(r"[A-Za-z0-9_-]{0,40}")


def filled(
    kind: type[Destination], config: Mapping[str, Any], file: str, *, namespace: str, source: str = ""
) -> str:
    """Return a view of a destination's type as the vendor takes it; raise `NotFound` where there is none."""
    if file not in {view.file for view in kind.views}:
        raise NotFound("This destination has no such view.")
    if not _SOURCE.fullmatch(source):
        raise SettingsError({"source": "Enter a data source's UID: up to 40 letters, digits, - and _."})
    folder = resources.files(kind.__module__.partition(".")[0]).joinpath("dashboards")
    text = folder.joinpath(file).read_text(encoding="utf-8")
    known = kind.parse(config, secrets_required=False)
    return known.view(text, source).replace(NAMESPACE, namespace)
