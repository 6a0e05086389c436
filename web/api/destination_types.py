"""A destination type as the API describes it: its settings as a JSON schema, from the declaration alone."""

from typing import Any

from broadcast.destination import Destination
from broadcast.fields import Spec


def describe(slug: str, kind: type[Destination]) -> dict[str, Any]:
    """Return the entry of a type."""
    specs = kind.specs()
    return {
        "type": slug,
        "title": kind.title,
        "category": kind.category,
        "docs": kind.docs,
        "setup": list(kind.setup),
        "sql": kind.sql or None,
        "schema": {
            "type": "object",
            "additionalProperties": False,
            "required": [spec.outside for spec in specs if spec.required],
            "properties": {spec.outside: _property(spec) for spec in specs},
        },
    }


def _property(spec: Spec) -> dict[str, Any]:
    found: dict[str, Any] = {"title": spec.label}
    if spec.kind == "headers":
        found |= {"type": "object", "additionalProperties": {"type": "string"}}
    else:
        found["type"] = "boolean" if spec.kind == "flag" else "string"
    if spec.kind == "url":
        found["format"] = "uri"
    if spec.secret:
        found["writeOnly"] = True
    if spec.choices:
        found["enum"] = list(spec.choices)
    for name, value in (("description", spec.help), ("pattern", spec.pattern)):
        if value:
            found[name] = value
    if spec.example and not spec.secret:
        found["examples"] = list(dict.fromkeys((spec.example, *spec.known.values())))
    if isinstance(spec.default, str | bool):
        found["default"] = spec.default
    return found
