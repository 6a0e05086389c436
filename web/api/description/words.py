"""The vocabulary in which the API describes itself: schemas as small functions, operations as records."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Schema = dict[str, Any]
Key = Literal["none", "any", "chat", "receipts:write", "usage:read", "management"]

TEXT: Final[Schema] = {"type": "string"}
FLAG: Final[Schema] = {"type": "boolean"}
WHOLE: Final[Schema] = {"type": "integer"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
NUMBER: Final[Schema] = {"type": "number"}
INSTANT: Final[Schema] = {"type": "string", "format": "date-time"}
UUID: Final[Schema] = {"type": "string", "format": "uuid"}
OBJECT: Final[Schema] = {"type": "object"}
ANY: Final[Schema] = {}


def word(*choices: str) -> Schema:
    """Return a text out of a few."""
    return {"type": "string", "enum": list(choices)}


def ref(name: str) -> Schema:
    """Return a reference to a named schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def maybe(schema: Schema) -> Schema:
    """Return a schema that null fits too."""
    return {"anyOf": [schema, {"type": "null"}]}


def rows(schema: Schema) -> Schema:
    """Return a list of what a schema describes."""
    return {"type": "array", "items": schema}


def whole(fields: Mapping[str, Schema], *, optional: Mapping[str, Schema] | None = None) -> Schema:
    """Return an object that has these fields and no other; `optional` ones may be absent."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(fields),
        "properties": {**fields, **(optional or {})},
    }


def data(schema: Schema) -> Schema:
    """Return the envelope of one thing."""
    return whole({"data": schema})


def page(schema: Schema) -> Schema:
    """Return a page of a list by cursor."""
    return whole({"data": rows(schema), "next_cursor": maybe(TEXT)})


@dataclass(frozen=True, kw_only=True)
class Query:
    """One parameter of the query."""

    name: str
    schema: Schema
    about: str
    required: bool = False


LIMIT: Final = Query(name="limit", schema=WHOLE | {"minimum": 1, "maximum": 100}, about="At most so many.")
CURSOR: Final = Query(name="cursor", schema=TEXT, about="`next_cursor` of the page before.")
OFFSET: Final = Query(
    name="offset", schema=WHOLE | {"minimum": 0, "maximum": 10**6}, about="Leave out so many."
)


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One route: what it takes and what it answers, by status; `path` as OpenAPI writes it.

    One that `passes_on` what another server says may answer with any status.
    """

    method: Literal["get", "post", "patch", "delete"]
    path: str
    title: str
    tag: str
    key: Key
    about: str = ""
    query: tuple[Query, ...] = ()
    body: Schema | None = None
    body_types: tuple[str, ...] = ("application/json",)
    answers: Mapping[int, Schema | None] = field(default_factory=dict)
    answer_types: tuple[str, ...] = ("application/json",)
    refusals: tuple[int, ...] = ()
    passes_on: bool = False
