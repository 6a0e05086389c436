"""Payloads as a real LiteLLM 1.106.2 posted them, by what they show; price tables and tracebacks removed."""

import copy
import json
from pathlib import Path
from typing import Any, Final

_ALL: Final[dict[str, dict[str, Any]]] = json.loads(
    Path(__file__).with_name("litellm_payloads.json").read_text(encoding="utf-8")
)
NAMES: Final = tuple(_ALL)
NOW_US: Final = 1_795_292_000_000_000
"""A little after the last of them."""


def payload(name: str, **changes: Any) -> dict[str, Any]:
    """Return one payload of one's own, with any of its members said otherwise."""
    return {**copy.deepcopy(_ALL[name]), **changes}


def without(name: str, *members: str) -> dict[str, Any]:
    """Return a payload that lacks some of its members."""
    return {key: value for key, value in payload(name).items() if key not in members}
