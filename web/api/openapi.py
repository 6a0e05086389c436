"""GET /api/openapi.json: the whole API described, with the schemas of what the program declares itself."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from flask import Blueprint, Response

from broadcast import __version__
from broadcast.destination import Destination
from broadcast.runtime import Services
from web.api.description import OPERATIONS, SCHEMAS
from web.api.description.words import Operation, Query, Schema, ref
from web.api.destination_types import describe
from web.responses import answer

PATH: Final = "/api/openapi.json"
_OPENAPI: Final = "3.1.0"
_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
_WORDS: Final = {
    200: "Done.",
    201: "Made.",
    202: "Kept: the receipts that were accepted are durable.",
    400: "The body is not JSON, or not what the protocol says.",
    401: "No key, or an unknown one.",
    403: "The key is known and may not do this.",
    404: "There is no such thing, or not in a workspace that this key reaches.",
    409: "It conflicts with what is there.",
    413: "The body is too large.",
    415: "This kind of body is not taken here.",
    422: "A field is missing, unknown or wrong, or a live test failed.",
    429: "Too many requests; `Retry-After` says when to come again.",
    502: "No provider could answer.",
    503: "Not now; `Retry-After` says when to come again.",
}


def blueprint(services: Services) -> Blueprint:
    """Return the route of the description."""
    routes = Blueprint("openapi", __name__)

    @cache
    def made() -> dict[str, Any]:
        return document(services.types)

    @routes.get(PATH)
    def describe_api() -> Response:
        return answer(made())

    return routes


def document(types: Mapping[str, type[Destination]]) -> dict[str, Any]:
    """Return the OpenAPI document; pure, so that it is the same for every reader."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation)
    return {
        "openapi": _OPENAPI,
        "info": {
            "title": "Broadcast",
            "version": __version__,
            "summary": "Every LLM request of any router, as OpenTelemetry spans, where a team already looks.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": {
                **SCHEMAS,
                "DestinationConfig": {"anyOf": [_config(*item) for item in types.items()]},
            },
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "An API key or a management key."}
            },
        },
    }


def _config(slug: str, kind: type[Destination]) -> Schema:
    """Return the settings of a type; a change may leave out any of them, so nothing is required here."""
    schema = describe(slug, kind)["schema"]
    properties = {name: _loose(item) for name, item in schema["properties"].items()}
    return {"title": slug, "type": "object", "additionalProperties": False, "properties": properties}


def _loose(schema: Schema) -> Schema:
    """Return a setting as it is shown and sent: null removes it, and a masked secret fits no pattern."""
    kept = {name: value for name, value in schema.items() if name not in {"pattern", "format", "enum"}}
    return kept | {"type": [schema["type"], "null"]}


def _operation(operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": _id_of(operation),
        "summary": operation.title,
        "tags": [operation.tag],
        "parameters": [*_of_path(operation.path), *map(_parameter, operation.query)],
        "responses": _answers(operation),
        "security": [] if operation.key == "none" else [{"key": []}],
    }
    needed = _needed(operation)
    if operation.about or needed:
        found["description"] = " ".join(part for part in (operation.about, needed) if part)
    if operation.body is not None:
        content = {kind: {"schema": operation.body} for kind in operation.body_types}
        found["requestBody"] = {"required": True, "content": content}
    return found


def _id_of(operation: Operation) -> str:
    words = re.findall(r"[A-Za-z0-9]+", operation.path.removeprefix("/api/v1"))
    return "_".join([operation.method, *(word.lower() for word in words)])


def _needed(operation: Operation) -> str:
    if operation.key in {"none", "any"}:
        return ""
    if operation.key == "management":
        return "Needs a management key."
    return f"Needs a key with the scope `{operation.key}`."


def _of_path(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _PLACEHOLDER.findall(path)
    ]


def _parameter(query: Query) -> dict[str, Any]:
    return {
        "name": query.name,
        "in": "query",
        "required": query.required,
        "schema": query.schema,
        "description": query.about,
    }


def _answers(operation: Operation) -> dict[str, Any]:
    found = {str(status): _answer(operation, status) for status in _statuses(operation)}
    if operation.passes_on:
        found["default"] = {"description": "What the provider answered."}
    return found


def _statuses(operation: Operation) -> list[int]:
    """Return every status of an operation: its own, and those its kind of key and body can lead to."""
    implied = set(operation.refusals)
    if operation.key != "none":
        # A database that is away is a 503 on every route that has to look a key up.
        implied |= {401, 403, 503}
    if operation.body is not None:
        implied |= {400, 413, 422}
    return sorted({*operation.answers, *implied})


def _answer(operation: Operation, status: int) -> dict[str, Any]:
    found: dict[str, Any] = {"description": _WORDS[status]}
    own = status in operation.answers
    schema = operation.answers[status] if own else ref("Error")
    if schema is not None:
        kinds = operation.answer_types if own else ("application/json",)
        found["content"] = {kind: {"schema": schema} for kind in kinds}
    return found
