"""The names of objects in a store: a path from a template, and a file name that only its contents decide."""

import hashlib
import re
from datetime import datetime
from typing import Final

from destinations import _trace_json

TEMPLATE: Final = r"(?:[^{}\x00-\x1f]|\{(?:prefix|date|year|month|day|apiKeyName)\})+"
"""A path template as OpenRouter takes it."""

KEY_NAME: Final = "{apiKeyName}"
_NO_KEY: Final = "no-key"
_VARIABLE: Final = re.compile(r"\{(\w+)\}")


def name(template: str, prefix: str, pieces: tuple[bytes, ...], ending: str, *, single: bool) -> str:
    """Return where these receipts belong: the same ones have the same name whenever they are sent."""
    first = _trace_json.decode(pieces[0])
    date = first.timestamp[:10]
    values = {
        "prefix": prefix,
        "date": date,
        **dict(zip(("year", "month", "day"), date.split("-"), strict=True)),
        "apiKeyName": (first.api_key_name or _NO_KEY).replace("/", "-"),
    }
    folder = _VARIABLE.sub(lambda found: values[found[1]], template).split("/")
    at_ms = int(datetime.fromisoformat(first.timestamp).timestamp() * 1000)
    if single:
        file = f"{first.id}-{at_ms}-{first.observations[0].id}.json{ending}"
    else:
        digest = hashlib.sha256(b"\n".join(pieces)).hexdigest()
        file = f"{digest[:32]}-{at_ms}.ndjson{ending}"
    return "/".join([*(part for part in folder if part not in {"", ".", ".."}), file])
