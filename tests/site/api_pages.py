"""The pages of the HTTP API, made of the OpenAPI document that the program serves."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tests.site.markdown import code, prose, sections, table

Document = Mapping[str, Any]
Schema = Mapping[str, Any]

FOLDER: Final = "api"
SCHEMAS: Final = f"{FOLDER}/schemas.md"
_DEPTH: Final = 3
"""So deep are objects told that have no name of their own."""
_FEW: Final = 3
"""So many fields of such an object fit into a cell."""

_INTRO: Final = """# HTTP API

Everything that a page does can be done over HTTP. Addresses begin where Broadcast listens,
`http://127.0.0.1:8400` unless it was told otherwise; bodies and answers are JSON. The same description for
machines is at `/api/openapi.json`.

A key goes into the header `Authorization: Bearer ...`. An API key has scopes: `chat`, `receipts:write`,
`usage:read`. A management key manages destinations, keys and workspaces. Both are made under Settings > API
keys, and are shown once.

Whatever is refused is answered as [Error](schemas.md#error), with the field at fault and what to do. After a
429 or a 503 `Retry-After` says when to come again.

"""


def pages(document: Document) -> dict[str, str]:
    """Return the pages by path: the list of all operations, a page a tag, and the named schemas."""
    made = {f"{FOLDER}/index.md": index(document), SCHEMAS: schemas(document)}
    return made | {path_of(tag): _tag(document, tag) for tag in tags(document)}


def tags(document: Document) -> list[str]:
    """Return the tags in the order in which they are met."""
    return list(dict.fromkeys(operation["tags"][0] for _, _, operation in operations(document)))


def path_of(tag: str) -> str:
    """Return where the page of a tag is, below the documents."""
    return f"{FOLDER}/{tag}.md"


def operations(document: Document) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield every operation with its method and path."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def index(document: Document) -> str:
    """Return the list of the operations."""
    return _INTRO + sections(*((tag.capitalize(), _list(document, tag)) for tag in tags(document)))


def _list(document: Document, tag: str) -> str:
    return table(
        ("method", "path", "what it does"),
        (
            (method, code(path), f"[{operation['summary']}]({tag}.md#{operation['operationId']})")
            for method, path, operation in operations(document)
            if operation["tags"] == [tag]
        ),
    )


def _tag(document: Document, tag: str) -> str:
    found = [
        _operation(method, path, operation)
        for method, path, operation in operations(document)
        if operation["tags"] == [tag]
    ]
    return "\n".join([f"# API: {tag}\n", *found])


# -- one operation -----------------------------------------------------------------------------------------


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    parts = [
        f"## {operation['summary']} {{#{operation['operationId']}}}\n",
        f"`{method} {path}`\n",
        *_paragraph(operation.get("description") or _key(operation)),
        _parameters(operation),
        _body(operation),
        _answers(operation),
    ]
    return "\n".join(part for part in parts if part)


def _key(operation: Mapping[str, Any]) -> str:
    return "Needs a key of any kind." if operation["security"] else "Needs no key."


def _paragraph(text: str) -> list[str]:
    return [f"{prose(text)}\n"] if text else []


def _parameters(operation: Mapping[str, Any]) -> str:
    return table(
        ("parameter", "in", "kind", "what it is"),
        (
            (
                _name(item["name"], required=item["required"]),
                item["in"],
                kind_of(item["schema"]),
                prose(item.get("description", "")),
            )
            for item in operation["parameters"]
        ),
    )


def _body(operation: Mapping[str, Any]) -> str:
    content: Mapping[str, Any] = operation.get("requestBody", {}).get("content", {})
    if not content:
        return ""
    schema = next(iter(content.values()))["schema"]
    kinds = ", ".join(map(code, content))
    return f"The body, as {kinds}: {kind_of(schema)}.\n\n{fields(schema)}"


def _answers(operation: Mapping[str, Any]) -> str:
    return table(
        ("answer", "what it means", "body"),
        (
            (status, prose(answer["description"]), _answer_kind(answer))
            for status, answer in operation["responses"].items()
        ),
    )


def _answer_kind(answer: Mapping[str, Any]) -> str:
    content: Mapping[str, Any] = answer.get("content", {})
    if not content:
        return ""
    kinds = "" if list(content) == ["application/json"] else f" as {', '.join(map(code, content))}"
    return kind_of(next(iter(content.values()))["schema"]) + kinds


# -- schemas -----------------------------------------------------------------------------------------------


def schemas(document: Document) -> str:
    """Return the named schemas, each with its fields."""
    named = document["components"]["schemas"]
    told = (f"## {name} {{#{name.lower()}}}\n\n{_told(name, schema)}" for name, schema in named.items())
    return "\n".join(["# API: schemas\n", *told])


def _told(name: str, schema: Schema) -> str:
    if name == "DestinationConfig":
        each = (f"[{item['title']}](../destinations/{item['title']}.md)" for item in schema["anyOf"])
        return f"The settings of one destination type: {', '.join(each)}.\n"
    return "\n".join([*_paragraph(schema.get("description", "")), fields(schema) or f"{kind_of(schema)}.\n"])


def fields(schema: Schema) -> str:
    """Return the table of an object's fields; nothing where it has none, or is told elsewhere."""
    return table(("field", "kind", "what it is"), _rows(schema, "", 0))


def _rows(schema: Schema, above: str, depth: int) -> Iterator[tuple[str, str, str]]:
    for name, item in schema.get("properties", {}).items():
        whole = f"{above}{name}"
        required = name in schema.get("required", ())
        yield _name(whole, required=required), kind_of(item), prose(item.get("description", ""))
        inner = _inner(item)
        if depth < _DEPTH:
            yield from _rows(inner, f"{whole}{'[]' if _of(item, 'array') else ''}.", depth + 1)


def _name(name: str, *, required: bool) -> str:
    return f"**{code(name)}**" if required else code(name)


def _of(schema: Schema, kind: str) -> bool:
    return any(item.get("type") == kind for item in (schema, *schema.get("anyOf", ())))


def _inner(schema: Schema) -> Schema:
    """Return the object whose fields stand below a field: itself, or what a list or an alternative holds."""
    if "properties" in schema:
        return schema
    held = [*schema.get("anyOf", ()), *([schema["items"]] if "items" in schema else [])]
    return next((found for item in held if (found := _inner(item)).get("properties")), {})


def kind_of(schema: Schema) -> str:
    """Return what a value is, in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](schemas.md#{name.lower()})"
    if "enum" in schema:
        return "one of " + ", ".join(code(_shown(value)) for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(map(kind_of, schema["anyOf"])))
    if isinstance(schema.get("type"), list):
        return " or ".join(kind_of({**schema, "type": kind}) for kind in schema["type"])
    return _kind_of_one(schema)


def _kind_of_one(schema: Schema) -> str:
    if schema.get("type") == "array":
        return f"list of {kind_of(schema.get('items', {}))}"
    if _FEW >= len(schema.get("properties", ())) > 0:
        inner = (f"{code(name)}: {kind_of(item)}" for name, item in schema["properties"].items())
        return f"object of {'; '.join(inner)}"
    named = _WORDS.get((schema.get("type"), schema.get("format")))
    return (named or _PLAIN[schema.get("type")]) + _range(schema)


_WORDS: Final[Mapping[tuple[Any, Any], str]] = {
    ("string", "date-time"): "instant, RFC 3339",
    ("string", "date"): "date",
    ("string", "uuid"): "UUID",
    ("string", "uri"): "address",
}
_PLAIN: Final[Mapping[Any, str]] = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "object": "object",
    "null": "null",
    None: "anything",
}


def _range(schema: Schema) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if schema.get("type") not in {"integer", "number"} or least is None:
        return ""
    return f", {least} or more" if most is None else f", {least} to {most:,}"


def _shown(value: object) -> str:
    return "null" if value is None else str(value)
